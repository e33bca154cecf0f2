"""Gain over the folds of a cross-validation: one verdict, with an error that respects overlap."""

# M, B scores of the model and of its baseline in a fold;  s −1 where less is better, else 1

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from jlrun.runs.folds.fold_runs import FoldRun, columns
from jlrun.runs.folds.overlap import standard_error
from jlrun.strategies.gain import sign
from jlrun.strategies.gain_statistics import THROUGH_ZERO, TaskGain, with_statistics
from jlrun.tasks import TaskSpec

ENSEMBLE = "ensemble"
CHOSEN = "best_modality"  # where folds choose different ones
Scores = Mapping[str, Mapping[str, Any]]


def fold_baselines(runs: Sequence[FoldRun]) -> dict[str, dict[str, dict[str, float]]]:
    """Return baseline -> task -> metric -> mean score over the folds.

    Where folds differ in the baseline that validation rows chose, theirs together are one more.
    """
    names = [name for name in runs[0].result["baselines"] if all(_has(run, name) for run in runs)]
    found = {name: _means([run.result["baselines"][name] for run in runs]) for name in names}
    if runs[0].result["gain"] and _against(runs) == CHOSEN:
        found[CHOSEN] = _means([_baseline(run) for run in runs])
    return found


def fold_gain(
    runs: Sequence[FoldRun], tasks: Sequence[TaskSpec], ratio: float
) -> dict[str, Any] | None:
    """Return the gain of the means over folds, in the form of a single run's.

    Its error is that of the mean of the differences within folds, by `standard_error`.

    Args:
        runs: of all folds.
        tasks: those of the result.
        ratio: ρ of the folds.

    Returns:
        None without baselines.
    """
    if not all(run.result["gain"] for run in runs):
        return None
    metrics: dict[str, dict[str, None]] = {}  # a baseline of 0 leaves a metric out of a fold
    for run in runs:
        for task, gains in run.result["gain"].get("per_metric", {}).items():
            metrics.setdefault(task, {}).update(dict.fromkeys(gains))
    ours = [run.result["test"] for run in runs]
    theirs = [_baseline(run) for run in runs]
    gain = {"against": _against(runs), **_compared(ours, theirs, metrics, tasks, ratio)}
    if all("over_ensemble" in run.result["gain"] for run in runs):
        ensembles = [run.result["baselines"][ENSEMBLE] for run in runs]
        gain["over_ensemble"] = _compared(ours, ensembles, metrics, tasks, ratio)
    return gain


def _compared(
    ours: Sequence[Scores],
    theirs: Sequence[Scores],
    metrics: Mapping[str, Iterable[str]],
    tasks: Sequence[TaskSpec],
    ratio: float,
) -> dict[str, Any]:
    found = {}
    for spec in tasks:
        of_metrics = {m: _pairs(ours, theirs, spec.name, m) for m in metrics.get(spec.name, ())}
        gain = _task_gain({m: p for m, p in of_metrics.items() if len(p) == len(ours)}, ratio)
        if gain is not None:
            found[spec.name] = gain
    return with_statistics({"per_metric": {}, "standard_error": {}}, found, tasks)


def _task_gain(pairs: Mapping[str, Sequence[tuple[float, float]]], ratio: float) -> TaskGain | None:
    """Return the gain of a task from M and B of each fold, by metric."""
    per_metric, spreads, each = {}, {}, []
    for metric, scores in pairs.items():
        baseline = [theirs for _, theirs in scores]
        mean, spread = fmean(baseline), 2 * standard_error(baseline, ratio)
        if metric in THROUGH_ZERO and spread > abs(mean):
            spreads[metric] = spread
        unit = spreads.get(metric, abs(mean))
        if unit:
            gains = [100 * sign(metric) * (m - b) / unit for m, b in scores]
            per_metric[metric] = fmean(gains)
            each.append(gains)
    if not per_metric:
        return None
    of_folds = [fmean(values) for values in zip(*each, strict=True)]
    return TaskGain(per_metric, standard_error(of_folds, ratio), len(of_folds), spreads)


def _pairs(
    ours: Sequence[Scores], theirs: Sequence[Scores], task: str, metric: str
) -> list[tuple[float, float]]:
    """Return M and B of the folds that have both."""
    found = (
        (m.get(task, {}).get(metric), b.get(task, {}).get(metric))
        for m, b in zip(ours, theirs, strict=True)
    )
    return [(m, b) for m, b in found if m is not None and b is not None]


def _against(runs: Sequence[FoldRun]) -> str:
    names = {run.result["gain"]["against"] for run in runs}
    return names.pop() if len(names) == 1 else CHOSEN


def _baseline(run: FoldRun) -> Scores:
    return run.result["baselines"][run.result["gain"]["against"]]


def _has(run: FoldRun, name: str) -> bool:
    return name in run.result["baselines"]


def _means(tables: Sequence[Scores]) -> dict[str, dict[str, float]]:
    return {
        task: {metric: fmean(values) for metric, values in metrics.items()}
        for task, metrics in columns(tables).items()
    }
