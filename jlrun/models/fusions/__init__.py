"""Fusions: the features of the present modalities to one representation."""

from jlrun.models.fusions.base import Fusion, Single, TokenFusion
from jlrun.models.fusions.bottleneck import Bottleneck
from jlrun.models.fusions.concat import Concat
from jlrun.models.fusions.cross_attention import CrossAttention
from jlrun.models.fusions.film import FiLM
from jlrun.models.fusions.gated import Gated
from jlrun.models.fusions.late import Late
from jlrun.models.fusions.low_rank import LowRank
from jlrun.models.fusions.multiplicative import Multiplicative
from jlrun.models.fusions.sum import Sum
from jlrun.models.fusions.tensor import TensorProduct
from jlrun.models.fusions.transformer import Transformer

__all__ = [
    "Bottleneck",
    "Concat",
    "CrossAttention",
    "FiLM",
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
