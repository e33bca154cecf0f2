"""What a model of several modalities does when some are missing, and what each contributes."""
