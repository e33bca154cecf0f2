"""Recorders: TensorBoard, tables, figures, a log, the terminal."""
