"""Ways of fine-tuning: which parameters train when, and how fast."""

from jlrun.finetuning.base import Finetuning, Stretch
from jlrun.finetuning.full import Full
from jlrun.finetuning.gradual import Gradual
from jlrun.finetuning.lora import Lora
from jlrun.finetuning.lp_ft import LpFt
from jlrun.finetuning.surgical import Surgical

__all__ = ["Finetuning", "Full", "Gradual", "Lora", "LpFt", "Stretch", "Surgical"]
