"""Ways of balancing modalities in training."""

from jlrun.balance.agm import Agm
from jlrun.balance.base import Balance, NoBalance
from jlrun.balance.gradient_blend import GradientBlend
from jlrun.balance.mmpareto import MMPareto
from jlrun.balance.ogm_ge import OgmGe
from jlrun.balance.pareto import Pareto
from jlrun.balance.pmr import Pmr
from jlrun.balance.uniform import Uniform

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
