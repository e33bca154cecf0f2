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
        rows = [stats.num_rows for stats in steps]
        numbers = [stats.numbers for stats in steps]
        column = 2
        for i, task in enumerate(self._tasks):
            counts = [stats.labelled[i] for stats in steps]
            self._add(f"train/{task}/loss", [each[column] for each in numbers], counts)
            column += 1
        for term in self._terms:
            totals = _times([each[column] for each in numbers], rows)
            self._add(f"train/{term}/loss", totals, rows)
            column += 1
        self._add("train/total_loss", _times([each[0] for each in numbers], rows), rows)
        self._add("train/grad_norm", [each[1] for each in numbers], [1] * len(steps))
        for stats, each in zip(steps, numbers, strict=True):
            for tag, value in zip(stats.readings, each[column:], strict=True):
                self._add(tag, [value], [0 if math.isnan(value) else 1])

    def _add(self, tag: str, totals: Sequence[float], weights: Sequence[float]) -> None:
        """Add those of some steps, one after the other: sums are the same however they come."""
        total, weight = self._sums.get(tag, 0.0), self._weights.get(tag, 0.0)
        for own, count in zip(totals, weights, strict=True):
            if count:
                total, weight = total + own, weight + count
        if weight:
            self._sums[tag], self._weights[tag] = total, weight

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


def _times(values: Sequence[float], factors: Sequence[float]) -> list[float]:
    return [value * factor for value, factor in zip(values, factors, strict=True)]


def read_together(steps: Iterable[StepStats]) -> None:
    """Read the numbers of several steps from the device at once, those that are not read yet."""
    unread = [stats for stats in steps if "numbers" not in vars(stats)]
    if unread:
        rows = torch.cat([stats.packed for stats in unread]).tolist()
        for stats in unread:
            size = len(stats.packed)
            vars(stats)["numbers"], rows = rows[:size], rows[size:]
