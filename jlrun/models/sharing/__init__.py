"""Sharing: what of a model its tasks have in common."""

from jlrun.models.sharing.base import Cut, FeatureSharing, Representation, Sharing, TrunkSharing
from jlrun.models.sharing.cross_stitch import CrossStitch
from jlrun.models.sharing.dselect_k import DSelectK
from jlrun.models.sharing.hard import Hard
from jlrun.models.sharing.ltb import Ltb
from jlrun.models.sharing.mixstyle import MixStyle
from jlrun.models.sharing.mmoe import Mmoe
from jlrun.models.sharing.mtan import Mtan
from jlrun.models.sharing.ple import Ple
from jlrun.models.sharing.soft import Soft
from jlrun.models.sharing.task_lora import TaskLora

__all__ = [
    "CrossStitch",
    "Cut",
    "DSelectK",
    "FeatureSharing",
    "Hard",
    "Ltb",
    "MixStyle",
    "Mmoe",
    "Mtan",
    "Ple",
    "Representation",
    "Sharing",
    "Soft",
    "TaskLora",
    "TrunkSharing",
]
