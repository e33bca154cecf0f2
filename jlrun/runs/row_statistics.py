"""Statistics of a run over the rows of its test split: intervals of scores, errors of gains."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jlrun.evaluation.bootstrap import LEVEL, intervals
from jlrun.evaluation.scores import Scores
from jlrun.evaluation.weighted_scores import RowPredictions, weighted_scores
from jlrun.strategies.gain_statistics import TaskGain, task_gain, with_statistics
from jlrun.tasks import Task, TaskSpec
from jlrun.training.plan import Comparison
from jlrun.training.recorder import MAIN_FIT

ByTask = Mapping[str, RowPredictions]


def score_intervals(
    rows: Mapping[str, ByTask],
    scored: Mapping[str, Task],
    main: Scores,
    baselines: Mapping[str, Scores],
    seed: int,
) -> dict[str, Any]:
    """Return ``intervals``: ``test`` of the main fit, and ``baselines`` by their names.

    Each is task -> metric -> lower and upper end, of the scores that there are.

    Args:
        rows: fit -> task -> predictions of the test rows.
        scored: task -> its kind, as it is scored.
        main: test scores of the main fit.
        baselines: name -> test scores.
        seed: of the resampling.
    """
    of_main = _intervals(rows, MAIN_FIT, scored, main, seed)
    of_baselines = {name: _intervals(rows, name, scored, s, seed) for name, s in baselines.items()}
    of_baselines = {name: found for name, found in of_baselines.items() if found}
    if not of_main and not of_baselines:
        return {}
    return {"intervals": {"level": LEVEL, "test": of_main, "baselines": of_baselines}}


def _intervals(
    rows: Mapping[str, ByTask], name: str, scored: Mapping[str, Task], scores: Scores, seed: int
) -> dict[str, dict[str, list[float]]]:
    found = {}
    for task, kind in scored.items():
        mine, measured = _rows(rows, name, task), scores.get(task, {})
        if mine is not None:
            found[task] = metric_intervals(kind, mine, seed, measured)
    return {task: ends for task, ends in found.items() if ends}


def metric_intervals(
    task: Task, rows: RowPredictions, seed: int, metrics: Collection[str]
) -> dict[str, list[float]]:
    """Return metric -> the ends of its interval, of those of the metrics that have one."""
    functions = {m: f for m, f in weighted_scores(task, rows).items() if m in metrics}
    return {metric: list(ends) for metric, ends in intervals(functions, len(rows), seed).items()}


def with_row_statistics(
    comparison: Comparison,
    main: Scores,
    rows: Mapping[str, ByTask],
    tasks: Sequence[TaskSpec],
    seed: int,
) -> Comparison:
    """Return the comparison whose gains have errors, paired over the test rows.

    Tasks whose predictions were not kept stay as they are.
    """
    gain = comparison.gain
    if gain is None or "per_task" not in gain:
        return comparison
    tasks = [spec for spec in tasks if spec.name in main]

    def judged(part: Mapping[str, Any], against: str) -> dict[str, Any]:
        baseline, found = comparison.baselines[against], dict[str, TaskGain]()
        for spec in tasks:
            pair = (_rows(rows, MAIN_FIT, spec.name), _rows(rows, against, spec.name))
            ours, theirs = pair
            if ours is None or theirs is None or not ours.same_rows_as(theirs):
                continue
            each = task_gain(spec, main, baseline, (ours, theirs), seed)
            if each is not None:
                found[spec.name] = each
        return with_statistics(part, found, tasks)

    against = gain["against"]
    assert isinstance(against, str)
    changed = {**gain, **judged(gain, against)}
    if "over_ensemble" in gain:
        over: Any = gain["over_ensemble"]
        changed["over_ensemble"] = judged(over, "ensemble")
    return replace(comparison, gain=changed)


def _rows(rows: Mapping[str, ByTask], name: str, task: str) -> RowPredictions | None:
    """Return the predictions of a fit, or of the one that a baseline trains for the task."""
    of_task = rows.get(f"{name}/{task}", {})
    return rows.get(name, of_task).get(task)
