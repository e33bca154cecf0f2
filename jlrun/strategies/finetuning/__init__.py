"""Ways of fine-tuning: which parameters train when, and how fast."""

from jlrun.strategies.finetuning.base import Finetuning, Stretch
from jlrun.strategies.finetuning.full import Full
from jlrun.strategies.finetuning.gradual import Gradual
from jlrun.strategies.finetuning.lora import Lora
from jlrun.strategies.finetuning.lp_ft import LpFt
from jlrun.strategies.finetuning.surgical import Surgical

__all__ = ["Finetuning", "Full", "Gradual", "Lora", "LpFt", "Stretch", "Surgical"]
