"""Terms: everything the objective adds to the task losses."""

from jlrun.objective.terms.base import PhaseStart, StepView, Term
from jlrun.objective.terms.head_penalties import GroupLasso, TraceNorm
from jlrun.objective.terms.output_penalties import Confidence, FeatureL2
from jlrun.objective.terms.weight_penalties import L1, L2, Orthogonal

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
