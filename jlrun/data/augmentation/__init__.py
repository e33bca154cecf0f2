"""Augmentation: random changes of training batches."""
