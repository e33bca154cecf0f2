"""Sharing: the parts of a model that tasks share."""

from jlrun.models.sharing.base import (
    Cut,
    FeatureSharing,
    Hard,
    Representation,
    Sharing,
    TrunkSharing,
)
from jlrun.models.sharing.cross_stitch import CrossStitch
from jlrun.models.sharing.dselect_k import DSelectK
from jlrun.models.sharing.ltb import LTB
from jlrun.models.sharing.mixstyle import MixStyle
from jlrun.models.sharing.mmoe import MMoE
from jlrun.models.sharing.mtan import MTAN
from jlrun.models.sharing.ple import PLE
from jlrun.models.sharing.soft import Soft
from jlrun.models.sharing.task_lora import TaskLoRA

__all__ = [
    "LTB",
    "MTAN",
    "PLE",
    "CrossStitch",
    "Cut",
    "DSelectK",
    "FeatureSharing",
    "Hard",
    "MMoE",
    "MixStyle",
    "Representation",
    "Sharing",
    "Soft",
    "TaskLoRA",
    "TrunkSharing",
]
