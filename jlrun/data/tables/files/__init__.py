"""Files of rows and columns, read without PyTorch: their contents and their bad rows."""
