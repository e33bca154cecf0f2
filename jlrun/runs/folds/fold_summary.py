"""Result of a cross-validation: means over its folds, their spread and intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from jlrun.evaluation.bootstrap import LEVEL
from jlrun.evaluation.score_scales import scale_of_score
from jlrun.reporting.result import Result
from jlrun.runs.folds.fold_gain import fold_baselines, fold_gain
from jlrun.runs.folds.fold_runs import Columns, FoldRun, columns, overlap_ratio
from jlrun.runs.folds.out_of_fold import ByTask, pooled_scores
from jlrun.runs.folds.overlap import interval
from jlrun.runs.job import Job


def fold_result(
    job: Job, runs: Sequence[FoldRun], predictions: Sequence[ByTask], folds: int
) -> Result:
    """Return one result of all folds, in the form of a single run's.

    ``test`` and ``val`` are means over the folds, and so is what they are compared with. ``folds``
    holds what each fold found, the standard deviation between them, and the scores of all
    out-of-fold predictions pooled.

    Args:
        job: the cross-validation.
        runs: of all folds.
        predictions: of their test rows.
        folds: of a repeat.
    """
    tasks, ratio = runs[0].tasks, overlap_ratio(runs)
    results = [run.result for run in runs]
    test, val = (columns([result[key] or {} for result in results]) for key in ("test", "val"))
    first = results[0]
    return Result(
        directory=job.directory,
        status="completed",
        mode=job.settings.strategy.mode,
        seed=job.settings.seed,
        overrides=job.overrides,
        test=_each(test, fmean),
        val=_each(val, fmean),
        objective=_objective(results),
        primary=first["primary"],
        baselines=fold_baselines(runs),
        gain=fold_gain(runs, tasks, ratio),
        model=first["model"],
        cost=_cost([result["cost"] for result in results]),
        extra={
            "intervals": {"level": LEVEL, "test": _intervals(test, len(runs), ratio)},
            "folds": {
                "folds": folds,
                "repeats": len(runs) // folds,
                "test_is": "the mean over the folds",
                "spread": _each(test, lambda scores: stdev(scores) if len(scores) > 1 else 0.0),
                "overlap": ratio,
                "pooled": pooled_scores(predictions, tasks, folds),
                "each": [_of_fold(run, folds) for run in runs],
            },
            **({"data": first["data"]} if "data" in first else {}),
        },
    )


def _each(scores: Columns, reduce: Any) -> dict[str, dict[str, float]]:
    return {
        task: {metric: reduce(values) for metric, values in metrics.items()}
        for task, metrics in scores.items()
    }


def _intervals(scores: Columns, count: int, ratio: float) -> dict[str, dict[str, list[float]]]:
    """Return task -> metric -> ends, of the scores that every fold has."""
    return {
        task: {
            m: _in_range(m, v, interval(v, ratio)) for m, v in metrics.items() if len(v) == count
        }
        for task, metrics in scores.items()
    }


def _in_range(metric: str, scores: Sequence[float], ends: tuple[float, float]) -> list[float]:
    """Return the ends of an interval, none of them outside the range of the metric."""
    scale = scale_of_score(metric)
    if metric == "loss" or not all(scale.low <= score <= scale.high for score in scores):
        return list(ends)
    return [max(scale.low, ends[0]), min(scale.high, ends[1])]


def _objective(results: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return what selected the weights of the folds, in the mean; None where nothing did."""
    found = [result["objective"] for result in results]
    if any(each is None or each["value"] is None for each in found):
        return None
    return {**found[0], "value": fmean(each["value"] for each in found)}


def _cost(costs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the cost of all folds together, baselines left out as in a single run."""
    seconds = [cost["train_seconds"] for cost in costs]
    samples = sum((c["samples_per_second"] or 0.0) * c["train_seconds"] for c in costs)
    peaks = [cost["peak_memory_bytes"] for cost in costs if cost["peak_memory_bytes"]]
    return {
        "train_seconds": sum(seconds),
        "samples_per_second": samples / sum(seconds) if sum(seconds) else None,
        "steps": sum(cost["steps"] for cost in costs),
        "peak_memory_bytes": max(peaks, default=None),
    }


def _of_fold(run: FoldRun, folds: int) -> dict[str, Any]:
    repeat, fold = divmod(run.number, folds)
    kept = ("test", "val", "objective", "selected", "baselines")
    return {
        "fold": fold,
        "repeat": repeat,
        "directory": f"folds/{run.number}",
        "rows": run.num_rows,
        **{key: run.result[key] for key in kept},
    }
