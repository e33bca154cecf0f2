"""Transfer: terms that preserve earlier weights, features or predictions."""

from jlrun.objective.terms.transfer.bss import BSS
from jlrun.objective.terms.transfer.co_tuning import CoTuning
from jlrun.objective.terms.transfer.delta import DELTA
from jlrun.objective.terms.transfer.distill import Distill
from jlrun.objective.terms.transfer.l2_sp import L2SP
from jlrun.objective.terms.transfer.lwf import LwF

__all__ = ["BSS", "DELTA", "L2SP", "CoTuning", "Distill", "LwF"]
