"""Files of rows and columns, without PyTorch: reading them, what their columns are, what is wrong."""
