"""Ways of fine-tuning: which parameters train when, and how fast."""

from jlrun.strategies.finetuning.base import Finetuning, TuningStage
from jlrun.strategies.finetuning.full import Full
from jlrun.strategies.finetuning.gradual import Gradual
from jlrun.strategies.finetuning.lora import LoRA
from jlrun.strategies.finetuning.lp_ft import LPFT
from jlrun.strategies.finetuning.surgical import Surgical

__all__ = ["LPFT", "Finetuning", "Full", "Gradual", "LoRA", "Surgical", "TuningStage"]
