"""Terms: everything the objective adds to the task losses."""

from jlrun.objective.terms.base import (
    TARGET,
    Need,
    PhaseStart,
    StepView,
    Term,
    no_loss,
    precise,
    total,
)
from jlrun.objective.terms.head_penalties import GroupLasso, TraceNorm
from jlrun.objective.terms.output_penalties import Confidence, FeatureL2
from jlrun.objective.terms.weight_penalties import L1, L2, Orthogonal

__all__ = [
    "L1",
    "L2",
    "TARGET",
    "Confidence",
    "FeatureL2",
    "GroupLasso",
    "Need",
    "Orthogonal",
    "PhaseStart",
    "StepView",
    "Term",
    "TraceNorm",
    "no_loss",
    "precise",
    "total",
]
