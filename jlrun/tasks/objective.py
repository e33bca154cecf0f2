"""Objective: a task learned or scored on a stream."""

from __future__ import annotations

from dataclasses import dataclass

from jlrun.tasks.base import TaskSpec


@dataclass(frozen=True)
class Objective:
    """Task learned or scored on a stream.

    Attributes:
        label: its name in records and results, for example ``digit`` or ``source.digit``.
        stream: name of the stream of its rows.
        spec: the task and its classes.
        head: name of the head in the model.
        scale: factor of its loss, before the weighting.
        ramped: whether the recipe's ramp multiplies the scale.
    """

    label: str
    stream: str
    spec: TaskSpec
    head: str
    scale: float = 1.0
    ramped: bool = False
