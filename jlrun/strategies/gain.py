"""Gain of one set of scores over another: does learning jointly help, and how much?"""

# M, B scores of the joint model and of the baseline;  s −1 where less is better, else 1

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jlrun.evaluation.scores import Scores
from jlrun.tasks import SMALLER_IS_BETTER, Task, TaskSpec


def relative_gain(
    main: Scores, baseline: Scores, tasks: Sequence[TaskSpec], num_rows: Mapping[str, int]
) -> dict[str, Any]:
    """Return the relative gain in percent, larger is better, per task and in the mean (Δm).

    Δm = 100 · mean over tasks of the mean over the task's compared metrics of s (M − B) / |B|
    (Maninis et al., "Attentive Single-Tasking of Multiple Tasks", CVPR 2019, eq. 4; several metrics
    per task as in Liu et al., "Conflict-Averse Gradient Descent for Multi-task Learning", NeurIPS
    2021). Published tables often print it with the opposite sign. Metrics whose baseline is 0 or
    that have no score are left out, and tasks without any other.

    Args:
        main: test scores of the joint model.
        baseline: those of what it must beat.
        tasks: to be compared.
        num_rows: task -> labelled rows of the test split.

    Returns:
        ``delta_m_percent`` (None without a task to compare), ``per_task`` and ``per_metric`` (task
        -> metric) in percent, ``standard_error`` of the tasks in percent, for accuracies, from the
        size of the test split alone, and ``negative_transfer``: the tasks that the joint model does
        worse on.
    """
    per_metric = {spec.name: _gains(main, baseline, spec) for spec in tasks}
    per_metric = {name: gains for name, gains in per_metric.items() if gains}
    per_task = {name: sum(gains.values()) / len(gains) for name, gains in per_metric.items()}
    return {
        "delta_m_percent": sum(per_task.values()) / len(per_task) if per_task else None,
        "per_task": per_task,
        "per_metric": per_metric,
        "standard_error": {
            name: _standard_error(
                main[name]["accuracy"], baseline[name]["accuracy"], num_rows[name]
            )
            for name, gains in per_metric.items()
            if list(gains) == ["accuracy"]
        },
        "negative_transfer": [name for name, gain in per_task.items() if gain < 0],
    }


def compared_metrics(task: Task) -> tuple[str, ...]:
    """Return the metrics that a task's part of Δm is the mean of."""
    return task.compared or (task.primary,)


def mean_primary(scores: Scores, tasks: Sequence[TaskSpec]) -> float:
    """Return the mean primary metric over the tasks that have one, s applied; −∞ if none has."""
    metrics = ((spec.name, spec.task.primary) for spec in tasks)
    found = ((metric, finite_score(scores, name, metric)) for name, metric in metrics)
    values = [sign(metric) * value for metric, value in found if value is not None]
    return sum(values) / len(values) if values else -math.inf


def _gains(main: Scores, baseline: Scores, spec: TaskSpec) -> dict[str, float]:
    """Return metric -> 100 s (M − B) / |B|."""
    gains = {}
    for metric in compared_metrics(spec.task):
        ours, theirs = (finite_score(scores, spec.name, metric) for scores in (main, baseline))
        if ours is not None and theirs:
            gains[metric] = 100 * sign(metric) * (ours - theirs) / abs(theirs)
    return gains


def _standard_error(ours: float, theirs: float, num_rows: int) -> float:
    """Return the standard error in percent of the relative gain in accuracy.

    Both are binomial. That they are measured on the same rows makes the error smaller.
    """
    variance = (ours * (1 - ours) + theirs * (1 - theirs)) / num_rows
    return 100 * math.sqrt(variance) / theirs


def sign(metric: str) -> int:
    """Return −1 for a metric of which less is better, else 1."""
    return -1 if metric in SMALLER_IS_BETTER else 1


def finite_score(scores: Scores, task: str, metric: str) -> float | None:
    """Return a score; None where there is none, or it is not a finite number."""
    value = scores.get(task, {}).get(metric)
    return value if value is not None and math.isfinite(value) else None
