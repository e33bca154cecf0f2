"""Ways of balancing modalities in training."""

from jlrun.objective.balance.agm import Agm
from jlrun.objective.balance.base import Balance, NoBalance
from jlrun.objective.balance.gradient_blend import GradientBlend
from jlrun.objective.balance.mmpareto import MMPareto
from jlrun.objective.balance.ogm_ge import OgmGe
from jlrun.objective.balance.pareto import Pareto
from jlrun.objective.balance.pmr import Pmr
from jlrun.objective.balance.uniform import Uniform

__all__ = [
    "Agm",
    "Balance",
    "GradientBlend",
    "MMPareto",
    "NoBalance",
    "OgmGe",
    "Pareto",
    "Pmr",
    "Uniform",
]
