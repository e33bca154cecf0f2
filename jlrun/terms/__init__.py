"""Terms: everything the objective adds to the task losses."""

from jlrun.terms.base import StepView, Term
from jlrun.terms.l2 import L2

__all__ = ["L2", "StepView", "Term"]
