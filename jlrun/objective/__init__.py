"""Objective: how losses become an update.

`backward` uses a weighting of `jlrun.objective.weightings` in a training loop of one's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jlrun.objective.own_loop import backward

__all__ = ["backward"]


def __getattr__(name: str) -> Any:
    if name == "backward":
        from jlrun.objective.own_loop import backward

        return backward
    raise AttributeError(f"module 'jlrun.objective' has no attribute '{name}'")
