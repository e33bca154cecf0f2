"""What a shared space of modalities is good for: finding, naming, and carrying over."""

from jlrun.retrieval.embedded import Embedded, embed
from jlrun.retrieval.options import Retrieval
from jlrun.retrieval.ranks import recall_between
from jlrun.retrieval.report import Findings, look

__all__ = ["Embedded", "Findings", "Retrieval", "embed", "look", "recall_between"]
