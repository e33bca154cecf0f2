"""Task relations of a run: gradient conflict and affinity, from its records or as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jlrun.objective.weightings.gramian import cosines_of
from jlrun.reporting.recorders.formats import MISSING
from jlrun.reporting.recorders.metrics_csv import Curve, read_curves
from jlrun.training.diagnosis.measure import GradientMeasurement
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


def summarise(measured: Sequence[GradientMeasurement]) -> dict[str, Any]:
    """Return the means of measurements of parameters, with affinities, as plain values.

    Returns:
        ``tasks``; ``loss`` and ``gradient_norm`` by task; ``cosine``, ``opposed`` (the share of
        batches with a negative cosine) and ``affinity`` (from task to task) by two tasks. Each is a
        mean over the batches in which it could be measured, None if there is none.
    """
    tasks = measured[0].tasks
    losses, norms, cosines = [], [], []
    for seen in measured:
        assert seen.losses is not None
        hidden = ~seen.active
        losses.append(seen.losses.double().masked_fill(hidden, torch.nan))
        norms.append(seen.gramian.diagonal().sqrt().masked_fill(hidden, torch.nan))
        pairs = hidden[:, None] | hidden[None, :]
        cosines.append(cosines_of(seen.gramian).masked_fill(pairs, torch.nan))
    opposed = [torch.where(c.isnan(), c, (c < 0).double()) for c in cosines]
    affinities = [seen.affinity for seen in measured if seen.affinity is not None]
    return {
        "tasks": list(tasks),
        "loss": _known_by_task(tasks, _mean_tensor(losses)),
        "gradient_norm": _known_by_task(tasks, _mean_tensor(norms)),
        "cosine": _by_pair(tasks, _mean_tensor(cosines)),
        "opposed": _by_pair(tasks, _mean_tensor(opposed)),
        "affinity": _by_pair(tasks, _mean_tensor(affinities)),
    }


def sentence(task: str, affinity: dict[str, dict[str, float | None]]) -> str:
    """Return a line on which other tasks help ``task`` most, and which hurt it most.

    Args:
        task: whose loss it is about.
        affinity: task -> task -> Z, from the one that steps to the one whose loss changes.
    """
    by_source = {
        source: value
        for source, row in affinity.items()
        if source != task and (value := row.get(task)) is not None
    }
    helping = {source: value for source, value in by_source.items() if value > 0}
    hurting = {source: value for source, value in by_source.items() if value < 0}
    if not helping and not hurting:
        return f"{task}: no other task changes its loss."
    best = max(helping, key=lambda name: helping[name], default=None)
    worst = min(hurting, key=lambda name: hurting[name], default=None)
    helped = "helped by no task" if best is None else _told("helped", best, helping)
    hurt = "hurt by none" if worst is None else _told("hurt", worst, hurting)
    return f"{task}: {helped}, {hurt}."


def format_affinity(value: float | None) -> str:
    """Return Z in percent with two significant digits: ``+0.31 %``."""
    if value is None:
        return MISSING
    percent = 100 * value
    if percent == 0:
        return "0 %"
    digits = max(0, 1 - math.floor(math.log10(abs(percent))))
    return f"{percent:+.{digits}f} %" if digits < 6 else f"{percent:+.1e} %"


def _told(verb: str, other: str, values: ByTask) -> str:
    most = "" if len(values) == 1 else "most "
    return f"{verb} {most}by {other} ({format_affinity(values[other])})"


def _mean_tensor(tensors: Sequence[Tensor]) -> Tensor:
    """Return the mean of what is finite."""
    stacked = torch.stack(list(tensors))
    return torch.where(stacked.isfinite(), stacked, torch.nan).nanmean(dim=0)


def _known_by_task(tasks: Sequence[str], values: Tensor) -> dict[str, float | None]:
    known = [None if math.isnan(value) else value for value in values.tolist()]
    return dict(zip(tasks, known, strict=True))


def _by_pair(tasks: Sequence[str], values: Tensor) -> dict[str, dict[str, float | None]]:
    return {task: _known_by_task(tasks, row) for task, row in zip(tasks, values, strict=True)}
