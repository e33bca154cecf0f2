"""Means of what training steps measure, read from the device when they are due."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from jlrun.training.stats import StepStats

MAX_WAITING = 64  # steps


class Meter:
    """Running means: losses over rows, gradient norm and readings over steps.

    A step's loss of a task counts with its labelled rows, those of terms and the total with all its
    rows, so that the mean of an epoch is the mean over its rows, however small its last step.

    Args:
        tasks: labels of the T objectives.
        terms: names of the J terms.
    """

    def __init__(self, tasks: Sequence[str], terms: Sequence[str]) -> None:
        self._tasks = tuple(tasks)
        self._terms = tuple(terms)
        self._tags = tuple(f"train/{name}/loss" for name in (*tasks, *terms))
        self.reset()

    def reset(self) -> None:
        """Forget all steps."""
        self.num_steps = 0
        self._waiting: list[StepStats] = []
        self._sums: dict[str, float] = {}
        self._weights: dict[str, float] = {}

    def add(self, stats: StepStats) -> None:
        """Add a step."""
        self.num_steps += 1
        self._waiting.append(stats)
        if len(self._waiting) == MAX_WAITING:
            self._take_in()

    def _take_in(self) -> None:
        """Add the steps that wait to the sums."""
        steps, self._waiting = self._waiting, []
        read_together(steps)
        tasks, sums, weights = len(self._tasks), self._sums, self._weights
        for stats in steps:
            total, norm, *others = stats.numbers
            rows = stats.num_rows
            totals = [*others[:tasks], *(x * rows for x in others[tasks : len(self._tags)])]
            counts = [*stats.labelled, *(rows for _ in self._terms)]
            added = [*zip(self._tags, totals, counts, strict=True)]
            added += (("train/total_loss", total * rows, rows), ("train/grad_norm", norm, 1))
            for tag, value in zip(stats.readings, others[len(self._tags) :], strict=True):
                added.append((tag, value, 0 if math.isnan(value) else 1))
            for tag, value, weight in added:
                if weight:
                    sums[tag] = sums.get(tag, 0.0) + value
                    weights[tag] = weights.get(tag, 0.0) + weight

    def means(self) -> dict[str, float]:
        """Return tag -> mean; a task without labels in any step has none."""
        self._take_in()
        return {tag: total / self._weights[tag] for tag, total in self._sums.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the sums, for a checkpoint in the middle of an epoch."""
        self._take_in()
        sums, weights = dict(self._sums), dict(self._weights)
        return {"num_steps": self.num_steps, "sums": sums, "weights": weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.reset()
        self.num_steps = state["num_steps"]
        self._sums, self._weights = dict(state["sums"]), dict(state["weights"])


def read_together(steps: Iterable[StepStats]) -> None:
    """Read the numbers of several steps from the device at once, those that are not read yet."""
    unread = [stats for stats in steps if "numbers" not in vars(stats)]
    if unread:
        rows = torch.cat([stats.packed for stats in unread]).tolist()
        for stats in unread:
            size = len(stats.packed)
            vars(stats)["numbers"], rows = rows[:size], rows[size:]
