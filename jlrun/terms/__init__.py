"""Terms: everything the objective adds to the task losses."""

from jlrun.terms.base import StepView, Term
from jlrun.terms.confidence import Confidence
from jlrun.terms.feature_l2 import FeatureL2
from jlrun.terms.group_lasso import GroupLasso
from jlrun.terms.l1 import L1
from jlrun.terms.l2 import L2
from jlrun.terms.orthogonal import Orthogonal
from jlrun.terms.trace_norm import TraceNorm

__all__ = [
    "L1",
    "L2",
    "Confidence",
    "FeatureL2",
    "GroupLasso",
    "Orthogonal",
    "StepView",
    "Term",
    "TraceNorm",
]
