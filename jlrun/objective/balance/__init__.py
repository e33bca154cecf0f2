"""Ways of balancing modalities in training."""

from jlrun.objective.balance.agm import AGM
from jlrun.objective.balance.base import (
    Balance,
    BalanceStart,
    EpochView,
    Measured,
    MicroBatchView,
    NoBalance,
    StepDone,
)
from jlrun.objective.balance.gradient_blend import GradientBlend
from jlrun.objective.balance.mmpareto import MMPareto, Pareto
from jlrun.objective.balance.ogm_ge import OGMGE
from jlrun.objective.balance.pmr import PMR
from jlrun.objective.balance.uniform import Uniform

__all__ = [
    "AGM",
    "OGMGE",
    "PMR",
    "Balance",
    "BalanceStart",
    "EpochView",
    "GradientBlend",
    "MMPareto",
    "Measured",
    "MicroBatchView",
    "NoBalance",
    "Pareto",
    "StepDone",
    "Uniform",
]
