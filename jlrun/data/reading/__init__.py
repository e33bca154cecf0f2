"""Readers: from files and texts to tensors."""
