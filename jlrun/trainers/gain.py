"""Does learning jointly help, and how much? The gain of one set of scores over another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jlrun.phase import Scores
from jlrun.tasks import SMALLER_IS_BETTER, TaskSpec


def relative_gain(
    main: Scores, baseline: Scores, tasks: Sequence[TaskSpec], num_rows: Mapping[str, int]
) -> dict[str, Any]:
    """Return the relative gain in percent, larger is better, per task and in the mean (Δm).

    Δm = 100 · mean over tasks of s (M − B) / |B|, where M and B are the primary metric of the joint
    model and of the baseline, and s is −1 for metrics of which less is better (Maninis et al.,
    "Attentive Single-Tasking of Multiple Tasks", CVPR 2019, eq. 4). Tasks whose baseline is 0 or
    has no score are left out.

    Args:
        main: test scores of the joint model.
        baseline: those of what it must beat.
        tasks: to be compared.
        num_rows: task -> labelled rows of the test split.

    Returns:
        ``delta_m_percent`` (None without a task to compare), ``per_task`` in percent,
        ``standard_error`` of these in percent, for accuracies, from the size of the test split
        alone, and ``negative_transfer``: the tasks that the joint model does worse on.
    """
    per_task, standard_error = {}, {}
    for spec in tasks:
        metric = spec.task.primary
        ours, theirs = (_score(scores, spec.name, metric) for scores in (main, baseline))
        if ours is None or not theirs:
            continue
        sign = -1 if metric in SMALLER_IS_BETTER else 1
        per_task[spec.name] = 100 * sign * (ours - theirs) / abs(theirs)
        if metric == "accuracy":
            # Both are binomial. That they are measured on the same rows makes the error smaller.
            variance = (ours * (1 - ours) + theirs * (1 - theirs)) / num_rows[spec.name]
            standard_error[spec.name] = 100 * math.sqrt(variance) / theirs
    return {
        "delta_m_percent": sum(per_task.values()) / len(per_task) if per_task else None,
        "per_task": per_task,
        "standard_error": standard_error,
        "negative_transfer": [name for name, gain in per_task.items() if gain < 0],
    }


def mean_primary(scores: Scores, tasks: Sequence[TaskSpec]) -> float:
    """Return the mean primary metric over the tasks that have one; −∞ if none has."""
    found = (_score(scores, spec.name, spec.task.primary) for spec in tasks)
    values = [value for value in found if value is not None]
    return sum(values) / len(values) if values else -math.inf


def _score(scores: Scores, task: str, metric: str) -> float | None:
    """Return a score; None where there is none, or it is not a finite number."""
    value = scores.get(task, {}).get(metric)
    return value if value is not None and math.isfinite(value) else None
