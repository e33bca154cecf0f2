"""Statistics of a gain: its error over the test rows, and what may be said of each task."""

# M, B scores of the joint model and of the baseline;  s −1 where less is better, else 1

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jlrun.evaluation.bootstrap import Resample, critical, kind_of, resampled, standard_error
from jlrun.evaluation.scores import Scores
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.strategies.gain import compared_metrics, finite_score, sign
from jlrun.tasks import TaskSpec

THROUGH_ZERO = frozenset({"r2", "spearman", "quadratic_kappa"})


@dataclass(frozen=True)
class TaskGain:
    """Gain of one task.

    Attributes:
        per_metric: metric -> gain in percent.
        error: standard error of their mean, over the test rows; None where it is not known.
        rows: of the test split that are labelled for it.
        spreads: metric -> the baseline's spread that its difference is divided by.
    """

    per_metric: Mapping[str, float]
    error: float | None
    rows: int
    spreads: Mapping[str, float]


def task_gain(
    spec: TaskSpec,
    main: Scores,
    baseline: Scores,
    rows: tuple[RowPredictions, RowPredictions],
    seed: int,
    resample: Resample = resampled,
) -> TaskGain | None:
    """Return the gain of a task, paired over the rows that both predict.

    A metric that passes through 0 (R², Spearman's correlation, kappa) has no relative difference
    near 0: it is s (M − B) / max(|B|, 2 standard errors of B), a difference in units of the
    baseline's spread where B is within two standard errors of 0.

    Args:
        spec: the task.
        main, baseline: test scores M and B by task.
        rows: predictions of both, of the same rows.
        seed: of the resampling.
        resample: gives the values of metrics in the resamples.
    """
    ours, theirs = (resample(spec.task, each, seed) for each in rows)
    count, per_metric, spreads, draws = len(rows[0]), {}, {}, []
    for metric in compared_metrics(spec.task):
        m, b = (finite_score(scores, spec.name, metric) for scores in (main, baseline))
        if m is None or b is None or metric not in ours:
            continue
        spread = 2 * (standard_error(theirs[metric], count) or 0.0)
        if metric in THROUGH_ZERO and spread > abs(b):
            spreads[metric] = spread
        unit = spreads.get(metric, abs(b))
        if unit:
            per_metric[metric] = 100 * sign(metric) * (m - b) / unit
            draws.append(100 * (ours[metric] - theirs[metric]) * sign(metric) / unit)
    if not per_metric:
        return None
    error = standard_error(np.mean(draws, axis=0), count)
    return TaskGain(per_metric, error, count, spreads)


def with_statistics(
    gain: Mapping[str, Any], found: Mapping[str, TaskGain], tasks: Sequence[TaskSpec]
) -> dict[str, Any]:
    """Return a `relative_gain` with what the rows tell of these tasks.

    Adds ``interval``, task -> the 95 % interval of the gain in percent, wide enough that those of
    all tasks hold together, so that it contains 0 just where the kind is noise; ``kind``, task ->
    `kind_of`; ``limit``, task -> the standard errors that it goes by; ``spread``, task -> metric ->
    the baseline's spread, where differences are in units of it.
    """
    per_metric = {
        spec.name: found[spec.name].per_metric
        if spec.name in found
        else gain["per_metric"].get(spec.name)
        for spec in tasks
    }
    per_metric = {name: gains for name, gains in per_metric.items() if gains}
    per_task = {name: sum(gains.values()) / len(gains) for name, gains in per_metric.items()}
    known = {name: each.error for name, each in found.items() if each.error is not None}
    errors = {**gain["standard_error"], **known}
    limits = {n: critical(found[n].rows, len(per_task)) for n in known}
    kinds = {
        name: kind_of(percent, errors.get(name), limits.get(name, 2.0))
        for name, percent in per_task.items()
    }
    widths = {name: limits[name] * error for name, error in known.items()}
    return {
        **gain,
        "delta_m_percent": sum(per_task.values()) / len(per_task) if per_task else None,
        "per_task": per_task,
        "per_metric": per_metric,
        "standard_error": errors,
        "interval": {n: [per_task[n] - widths[n], per_task[n] + widths[n]] for n in known},
        "limit": limits,
        "kind": kinds,
        "spread": {name: dict(each.spreads) for name, each in found.items() if each.spreads},
        "negative_transfer": [name for name, kind in kinds.items() if kind == "lost"],
    }
