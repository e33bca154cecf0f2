"""Transfer learning: from source tasks to a target task."""

from jlrun.trainers.transfer.adapt import Adaptation, plan_adapt, plan_generalize
from jlrun.trainers.transfer.domains import Domains
from jlrun.trainers.transfer.finetune import plan_finetune
from jlrun.trainers.transfer.joint import plan_joint

__all__ = [
    "Adaptation",
    "Domains",
    "plan_adapt",
    "plan_finetune",
    "plan_generalize",
    "plan_joint",
]
