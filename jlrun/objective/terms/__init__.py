"""Terms: everything the objective adds to the task losses."""

from jlrun.objective.terms.base import PhaseStart, StepView, Term
from jlrun.objective.terms.confidence import Confidence
from jlrun.objective.terms.feature_l2 import FeatureL2
from jlrun.objective.terms.group_lasso import GroupLasso
from jlrun.objective.terms.l1 import L1
from jlrun.objective.terms.l2 import L2
from jlrun.objective.terms.orthogonal import Orthogonal
from jlrun.objective.terms.trace_norm import TraceNorm

__all__ = [
    "L1",
    "L2",
    "Confidence",
    "FeatureL2",
    "GroupLasso",
    "Orthogonal",
    "PhaseStart",
    "StepView",
    "Term",
    "TraceNorm",
]
