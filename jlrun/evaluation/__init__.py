"""Evaluation: scores, model selection, missing modalities, retrieval."""
