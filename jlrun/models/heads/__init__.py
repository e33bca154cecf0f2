"""Heads: the fused features to one task's logits."""

from jlrun.models.heads.aspp import ASPP
from jlrun.models.heads.embedding import Embedding
from jlrun.models.heads.members import EnsembleHead
from jlrun.models.heads.tabm import TabM
from jlrun.models.heads.vectors import MLP, Cosine, Linear

__all__ = ["ASPP", "MLP", "Cosine", "Embedding", "EnsembleHead", "Linear", "TabM"]
