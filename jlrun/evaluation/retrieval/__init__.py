"""What a shared space of modalities is good for: finding, naming, and carrying over."""

from jlrun.evaluation.retrieval.embedded import Embedded, embed
from jlrun.evaluation.retrieval.options import Retrieval
from jlrun.evaluation.retrieval.ranks import recall_between
from jlrun.evaluation.retrieval.report import Findings, look

__all__ = ["Embedded", "Findings", "Retrieval", "embed", "look", "recall_between"]
