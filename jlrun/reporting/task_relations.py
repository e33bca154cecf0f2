"""Task relations of a run, from its records: gradient conflict and affinity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jlrun.reporting.recorders.curves import Curve, read_curves
from jlrun.training.diagnosis.tags import DESCENT, NORM, affinity_tag, cosine_tag
from jlrun.training.recorder import MAIN_FIT

ByTask = Mapping[str, float]


@dataclass(frozen=True)
class Relations:
    """Relations of the tasks of a phase, over all its measurements.

    Attributes:
        phase: name of the phase.
        tasks: labels, in the order in which they were recorded.
        cosine: task -> other task -> mean cosine of their gradients; both ways, where measured.
        opposed: task -> other task -> share of the measurements in which it was negative.
        against_update: task -> share of the measurements in which the update opposed its gradient.
        affinity: task -> task -> mean Z, from the one that steps to the one whose loss changes.
    """

    phase: str
    tasks: tuple[str, ...]
    cosine: Mapping[str, ByTask]
    opposed: Mapping[str, ByTask]
    against_update: ByTask = field(default_factory=dict)
    affinity: Mapping[str, ByTask] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the ``diagnosis`` of ``result.json``."""
        return {
            "phase": self.phase,
            "cosine": self.cosine,
            "opposed": self.opposed,
            "against_update": self.against_update,
            "affinity": self.affinity,
        }


def read_relations(metrics: Path) -> list[Relations]:
    """Return the relations in each phase of the main fit that has any, from a ``metrics.csv``."""
    phases: dict[str, dict[str, Curve]] = {}
    for curve in read_curves(metrics):
        if curve.fit == MAIN_FIT:
            phases.setdefault(curve.phase, {})[curve.tag] = curve
    found = (_relations(phase, curves) for phase, curves in phases.items())
    return [relations for relations in found if relations.cosine]


def _relations(phase: str, curves: Mapping[str, Curve]) -> Relations:
    tasks = tuple(tag.removeprefix(NORM) for tag in curves if tag.startswith(NORM))
    pairs = {
        (first, second): curves[tag].values
        for first in tasks
        for second in tasks
        if (tag := cosine_tag(first, second)) in curves
    }
    both_ways = pairs | {(second, first): values for (first, second), values in pairs.items()}
    ahead = {
        (source, target): curves[tag].values
        for source in tasks
        for target in tasks
        if (tag := affinity_tag(source, target)) in curves
    }
    return Relations(
        phase=phase,
        tasks=tasks,
        cosine=_nested({pair: _mean(values) for pair, values in both_ways.items()}),
        opposed=_nested({pair: _share_negative(values) for pair, values in both_ways.items()}),
        against_update={
            task: _share_negative(curves[tag].values)
            for task in tasks
            if (tag := f"{DESCENT}{task}") in curves
        },
        affinity=_nested({pair: _mean(values) for pair, values in ahead.items()}),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _share_negative(values: Sequence[float]) -> float:
    return sum(value < 0 for value in values) / len(values)


def _nested(pairs: Mapping[tuple[str, str], float]) -> dict[str, dict[str, float]]:
    rows: dict[str, dict[str, float]] = {}
    for (first, second), value in pairs.items():
        rows.setdefault(first, {})[second] = value
    return rows
