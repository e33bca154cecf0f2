"""Statistics of a run over the rows of its test split: intervals of scores, errors of gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jlrun.evaluation.bootstrap import LEVEL, interval, resampled
from jlrun.evaluation.scores import Scores
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.strategies.gain_statistics import TaskGain, task_gain, with_statistics
from jlrun.tasks import TaskSpec
from jlrun.training.plan import Comparison
from jlrun.training.recorder import MAIN_FIT

ByTask = Mapping[str, RowPredictions]


def score_intervals(
    rows: Mapping[str, ByTask], tasks: Sequence[TaskSpec], seed: int
) -> dict[str, Any]:
    """Return ``intervals`` of the main fit: task -> metric -> lower and upper end.

    Args:
        rows: fit -> task -> predictions of the test rows.
        tasks: those of the result.
        seed: of the resampling.
    """
    found = {}
    for spec in tasks:
        mine = rows[MAIN_FIT].get(spec.name)
        values = {} if mine is None else resampled(spec.task, mine, seed)
        ends = {m: interval(v, len(mine)) for m, v in values.items()} if mine is not None else {}
        if ends:
            found[spec.name] = {metric: list(pair) for metric, pair in ends.items() if pair}
    return {"intervals": {"level": LEVEL, "test": found}} if found else {}


def with_row_statistics(
    comparison: Comparison,
    main: Scores,
    rows: Mapping[str, ByTask],
    tasks: Sequence[TaskSpec],
    seed: int,
) -> Comparison:
    """Return the comparison whose gains have errors, paired over the test rows.

    Tasks whose predictions were not kept, such as those with maps, stay as they are.
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
