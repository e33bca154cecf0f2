"""Fusions: the features of the present modalities to one representation."""

from jlrun.fusions.base import Fusion, TokenFusion
from jlrun.fusions.concat import Concat
from jlrun.fusions.gated import Gated
from jlrun.fusions.late import Late
from jlrun.fusions.single import Single
from jlrun.fusions.sum import Sum

__all__ = ["Concat", "Fusion", "Gated", "Late", "Single", "Sum", "TokenFusion"]
