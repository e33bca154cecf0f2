"""Scores with modalities missing, and the contribution of each modality."""
