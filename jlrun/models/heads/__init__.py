"""Heads: the fused features to one task's logits."""

from jlrun.models.heads.aspp import ASPP
from jlrun.models.heads.cosine import Cosine
from jlrun.models.heads.embedding import Embedding
from jlrun.models.heads.linear import Linear
from jlrun.models.heads.members import EnsembleHead
from jlrun.models.heads.mlp import MLP
from jlrun.models.heads.tabm import TabM

__all__ = ["ASPP", "MLP", "Cosine", "Embedding", "EnsembleHead", "Linear", "TabM"]
