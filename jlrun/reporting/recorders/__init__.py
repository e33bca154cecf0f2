"""What a run leaves behind and shows: TensorBoard, tables, figures, a log, the terminal."""
