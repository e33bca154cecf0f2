"""Heads: the fused features to one task's logits."""

from jlrun.heads.aspp import Aspp
from jlrun.heads.cosine import Cosine
from jlrun.heads.embedding import Embedding
from jlrun.heads.linear import Linear
from jlrun.heads.mlp import Mlp

__all__ = ["Aspp", "Cosine", "Embedding", "Linear", "Mlp"]
