"""Transfer learning: from source tasks to a target task."""

from jlrun.strategies.transfer.adapt import Adaptation, plan_adapt, plan_generalize
from jlrun.strategies.transfer.domains import Domains
from jlrun.strategies.transfer.finetune import plan_finetune
from jlrun.strategies.transfer.joint import plan_joint

__all__ = [
    "Adaptation",
    "Domains",
    "plan_adapt",
    "plan_finetune",
    "plan_generalize",
    "plan_joint",
]
