"""Tags of the diagnosis, and the values recorded under them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor

from jlrun.objective.weightings.gramian import cosines_of

NORM = "gradient/norm/"
COSINE = "gradient/cosine/"
DESCENT = "gradient/descent/"
AFFINITY = "affinity/"
WEIGHT = "weight/"


def cosine_tag(first: str, second: str) -> str:
    """Tag of the cosine of two tasks' gradients; the one that comes first in the phase first."""
    return f"{COSINE}{first}-{second}"


def affinity_tag(source: str, target: str) -> str:
    """Tag of what a step on ``source`` alone does for ``target``."""
    return f"{AFFINITY}{source}/{target}"


def gradient_values(
    tasks: Sequence[str], gramian: Tensor, active: Tensor | None = None
) -> dict[str, float]:
    """Return tag -> norm or cosine of the task gradients with the Gramian ``(T, T)``.

    Args:
        tasks: T labels.
        gramian: inner products of the gradients.
        active: Bool ``(T,)``, tasks that have a gradient; None: all.
    """
    norms, cosines = gramian.diagonal().sqrt(), cosines_of(gramian)
    known = [i for i in range(len(tasks)) if active is None or bool(active[i])]
    values: dict[str, float] = {}
    for position, i in enumerate(known):
        values[f"{NORM}{tasks[i]}"] = float(norms[i])
        for j in known[:position]:
            values[cosine_tag(tasks[j], tasks[i])] = float(cosines[i, j])
    return values


def affinity_values(tasks: Sequence[str], affinity: Tensor) -> dict[str, float]:
    """Return tag -> Z of ``(T, T)``, from row to column, without what could not be measured."""
    rows = zip(tasks, affinity.tolist(), strict=True)
    return {
        affinity_tag(source, target): value
        for source, row in rows
        for target, value in zip(tasks, row, strict=True)
        if math.isfinite(value)
    }


def descent_values(descents: Mapping[str, float]) -> dict[str, float]:
    """Return tag -> cosine of a task's gradient and the update."""
    return {f"{DESCENT}{task}": value for task, value in descents.items()}
