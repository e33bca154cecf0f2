"""Runs below a folder: found, filtered and listed without PyTorch."""
