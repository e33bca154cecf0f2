"""Weightings: how task losses become the one scalar that is minimised."""

from jlrun.weightings.base import TaskLosses, Weighting
from jlrun.weightings.dwa import DWA
from jlrun.weightings.fixed import Equal, Static
from jlrun.weightings.pcgrad import PCGrad
from jlrun.weightings.uncertainty import Uncertainty

__all__ = ["DWA", "Equal", "PCGrad", "Static", "TaskLosses", "Uncertainty", "Weighting"]
