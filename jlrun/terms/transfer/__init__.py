"""Terms that keep what was learned before: by weights, features or answers."""

from jlrun.terms.transfer.bss import BSS
from jlrun.terms.transfer.co_tuning import CoTuning
from jlrun.terms.transfer.delta import Delta
from jlrun.terms.transfer.distill import Distill
from jlrun.terms.transfer.l2_sp import L2SP
from jlrun.terms.transfer.lwf import LwF

__all__ = ["BSS", "L2SP", "CoTuning", "Delta", "Distill", "LwF"]
