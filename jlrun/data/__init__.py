"""Data sets, splits, streams and augmentation."""
