"""Files of rows and columns, without PyTorch: what is in them, and what is wrong."""
