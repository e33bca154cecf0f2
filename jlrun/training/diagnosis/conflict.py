"""A warning when the update goes against a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Fewer measurements than this are noise: they are counted together with those of the next epoch.
FEWEST = 3


class GradientConflict:
    """Counts how often the update opposed the gradient of each task; warns once per task."""

    def __init__(self) -> None:
        self._measured: dict[str, int] = {}
        self._opposed: dict[str, int] = {}
        self._warned: list[str] = []

    def add(self, descents: Mapping[str, float]) -> None:
        """Add a measurement: task -> cosine of its gradient and the update."""
        for task, cosine in descents.items():
            self._measured[task] = self._measured.get(task, 0) + 1
            self._opposed[task] = self._opposed.get(task, 0) + (cosine < 0)

    def end_epoch(self, epoch: int) -> list[str]:
        """Return a warning for each task that the update opposed in most measured steps."""
        lines = []
        for task in [task for task, measured in self._measured.items() if measured >= FEWEST]:
            measured, opposed = self._measured.pop(task), self._opposed.pop(task)
            if 2 * opposed > measured and task not in self._warned:
                self._warned.append(task)
                lines.append(
                    f"warning: '{task}' is hurt: by epoch {epoch} the update went against its "
                    f"gradient in {opposed} of the last {measured} measured steps"
                )
        return lines

    def state_dict(self) -> dict[str, Any]:
        """Return everything, as plain values."""
        return {
            "measured": dict(self._measured),
            "opposed": dict(self._opposed),
            "warned": list(self._warned),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._measured = dict(state["measured"])
        self._opposed = dict(state["opposed"])
        self._warned = list(state["warned"])
