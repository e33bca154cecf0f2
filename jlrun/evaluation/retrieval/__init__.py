"""Scores of shared spaces: retrieval, zero-shot classification, transfer across modalities."""

from jlrun.evaluation.retrieval.embedded import Embedded, embed
from jlrun.evaluation.retrieval.ranks import recall_between
from jlrun.evaluation.retrieval.spaces import Findings, Retrieval, measure_spaces

__all__ = ["Embedded", "Findings", "Retrieval", "embed", "measure_spaces", "recall_between"]
