"""A warning when the update goes against a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Fewer looks than this say little: then they are counted together with those of the next epoch.
FEWEST = 3


class GradientConflict:
    """Counts how often the update opposed the gradient of each task, and tells it once per task."""

    def __init__(self) -> None:
        self._looks: dict[str, int] = {}
        self._opposed: dict[str, int] = {}
        self._told: list[str] = []

    def add(self, descents: Mapping[str, float]) -> None:
        """Take note of a look: task -> cosine of its gradient and the update."""
        for task, cosine in descents.items():
            self._looks[task] = self._looks.get(task, 0) + 1
            self._opposed[task] = self._opposed.get(task, 0) + (cosine < 0)

    def end_epoch(self, epoch: int) -> list[str]:
        """Return a warning for each task that most looks since the last epoch saw opposed."""
        lines = []
        for task in [task for task, looks in self._looks.items() if looks >= FEWEST]:
            looks, opposed = self._looks.pop(task), self._opposed.pop(task)
            if 2 * opposed > looks and task not in self._told:
                self._told.append(task)
                lines.append(
                    f"warning: '{task}' is hurt: by epoch {epoch} the update went against its "
                    f"gradient in {opposed} of the last {looks} measured steps"
                )
        return lines

    def state_dict(self) -> dict[str, Any]:
        """Return everything, as plain values."""
        return {
            "looks": dict(self._looks),
            "opposed": dict(self._opposed),
            "told": list(self._told),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._looks = dict(state["looks"])
        self._opposed = dict(state["opposed"])
        self._told = list(state["told"])
