"""Sharing: what of a model its tasks have in common."""

from jlrun.sharing.base import Cut, FeatureSharing, Representation, Sharing, TrunkSharing
from jlrun.sharing.cross_stitch import CrossStitch
from jlrun.sharing.dselect_k import DSelectK
from jlrun.sharing.hard import Hard
from jlrun.sharing.ltb import Ltb
from jlrun.sharing.mixstyle import MixStyle
from jlrun.sharing.mmoe import Mmoe
from jlrun.sharing.mtan import Mtan
from jlrun.sharing.ple import Ple
from jlrun.sharing.soft import Soft
from jlrun.sharing.task_lora import TaskLora

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
