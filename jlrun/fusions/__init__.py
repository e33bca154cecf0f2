"""Fusions: the features of the present modalities to one representation."""

from jlrun.fusions.base import Fusion, TokenFusion
from jlrun.fusions.bottleneck import Bottleneck
from jlrun.fusions.concat import Concat
from jlrun.fusions.cross_attention import CrossAttention
from jlrun.fusions.film import Film
from jlrun.fusions.gated import Gated
from jlrun.fusions.late import Late
from jlrun.fusions.low_rank import LowRank
from jlrun.fusions.multiplicative import Multiplicative
from jlrun.fusions.single import Single
from jlrun.fusions.sum import Sum
from jlrun.fusions.tensor import TensorProduct
from jlrun.fusions.transformer import Transformer

__all__ = [
    "Bottleneck",
    "Concat",
    "CrossAttention",
    "Film",
    "Fusion",
    "Gated",
    "Late",
    "LowRank",
    "Multiplicative",
    "Single",
    "Sum",
    "TensorProduct",
    "TokenFusion",
    "Transformer",
]
