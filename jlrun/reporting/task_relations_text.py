"""Task relations measured on several batches, in numbers and in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from jlrun.objective.weightings.gramian import cosines_of
from jlrun.reporting.recorders.formats import MISSING
from jlrun.reporting.task_relations import ByTask
from jlrun.training.diagnosis.measure import GradientMeasurement


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
        "loss": _known_by_task(tasks, _mean(losses)),
        "gradient_norm": _known_by_task(tasks, _mean(norms)),
        "cosine": _by_pair(tasks, _mean(cosines)),
        "opposed": _by_pair(tasks, _mean(opposed)),
        "affinity": _by_pair(tasks, _mean(affinities)),
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


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    """Return the mean of what is finite."""
    stacked = torch.stack(list(tensors))
    return torch.where(stacked.isfinite(), stacked, torch.nan).nanmean(dim=0)


def _known_by_task(tasks: Sequence[str], values: Tensor) -> dict[str, float | None]:
    known = [None if math.isnan(value) else value for value in values.tolist()]
    return dict(zip(tasks, known, strict=True))


def _by_pair(tasks: Sequence[str], values: Tensor) -> dict[str, dict[str, float | None]]:
    return {task: _known_by_task(tasks, row) for task, row in zip(tasks, values, strict=True)}
