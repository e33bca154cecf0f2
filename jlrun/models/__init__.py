"""Models: encoders, fusions, heads, how tasks share them, and the joint model of all.

What a part of a model or of the objective names is here. It is imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jlrun.models.joint_model import JointModel, Outputs
    from jlrun.models.trunk import Encoded, Trunk

__all__ = ["Encoded", "JointModel", "Outputs", "Trunk"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        home = "trunk" if name in ("Encoded", "Trunk") else "joint_model"
        return getattr(import_module(f"jlrun.models.{home}"), name)
    raise AttributeError(f"module 'jlrun.models' has no attribute '{name}'")
