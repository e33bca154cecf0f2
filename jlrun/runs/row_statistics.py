"""Statistics of a run over the rows of its test split: intervals of scores, errors of gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jlrun.evaluation.bootstrap import LEVEL, Resampled, interval
from jlrun.evaluation.scores import Scores
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.strategies.gain_statistics import TaskGain, task_gain, with_statistics
from jlrun.tasks import TaskSpec
from jlrun.training.plan import Comparison
from jlrun.training.recorder import MAIN_FIT

ByTask = Mapping[str, RowPredictions]
# Part of the gain -> the baseline that it is over.
_PARTS = {"over_ensemble": "ensemble", "over_reference": "reference"}


def with_row_statistics(
    comparison: Comparison,
    main: Scores,
    rows: Mapping[str, ByTask],
    tasks: Sequence[TaskSpec],
    seed: int,
) -> tuple[Comparison, dict[str, Any]]:
    """Return the comparison whose gains have errors, paired over the test rows, and ``intervals``.

    Tasks whose predictions were not kept, such as those with maps, stay as they are.

    Args:
        comparison: of the main fit with its baselines.
        main: test scores of the main fit.
        rows: fit or baseline -> task -> predictions of the test rows.
        tasks: those of the result.
        seed: of the resampling.
    """
    statistics = _Statistics(rows, [spec for spec in tasks if spec.name in main], seed)
    intervals = statistics.intervals(tuple(comparison.baselines))
    gain = comparison.gain
    if gain is None or "per_task" not in gain:
        return comparison, intervals

    def judged(part: Any, against: str) -> dict[str, Any]:
        return statistics.judged(part, main, comparison.baselines[against], against)

    against = gain["against"]
    assert isinstance(against, str)
    parts = {part: judged(gain[part], over) for part, over in _PARTS.items() if part in gain}
    return replace(comparison, gain={**gain, **judged(gain, against), **parts}), intervals


@dataclass(frozen=True)
class _Statistics:
    """Statistics over the predictions of the test rows.

    Attributes:
        rows: fit or baseline -> task -> predictions.
        tasks: with a score.
        seed: of the resampling.
    """

    rows: Mapping[str, ByTask]
    tasks: Sequence[TaskSpec]
    seed: int
    resample: Resampled = field(default_factory=Resampled)

    def judged(
        self, gain: Mapping[str, Any], main: Scores, baseline: Scores, against: str
    ) -> dict[str, Any]:
        """Return a gain over a baseline with its errors."""
        found = dict[str, TaskGain]()
        for spec in self.tasks:
            ours, theirs = self._of(MAIN_FIT, spec.name), self._of(against, spec.name)
            if ours is None or theirs is None or not ours.same_rows_as(theirs):
                continue
            pair = (ours, theirs)
            each = task_gain(spec, main, baseline, pair, self.seed, self.resample)
            if each is not None:
                found[spec.name] = each
        return with_statistics(gain, found, self.tasks)

    def intervals(self, baselines: Sequence[str]) -> dict[str, Any]:
        """Return ``intervals``: of the main fit, task -> metric -> lower and upper end, and the
        same of each baseline."""
        test = self._intervals(MAIN_FIT)
        if not test:
            return {}
        of_baselines = {name: self._intervals(name) for name in baselines}
        known = {name: found for name, found in of_baselines.items() if found}
        return {"intervals": {"level": LEVEL, "test": test, "baselines": known}}

    def _intervals(self, name: str) -> dict[str, Any]:
        found = {}
        for spec in self.tasks:
            rows = self._of(name, spec.name)
            if rows is None:
                continue
            values = self.resample(spec.task, rows, self.seed)
            ends = {metric: interval(v, len(rows)) for metric, v in values.items()}
            if ends:
                found[spec.name] = {metric: list(pair) for metric, pair in ends.items() if pair}
        return found

    def _of(self, name: str, task: str) -> RowPredictions | None:
        """Return the predictions of a fit, or of the one that a baseline trains for the task."""
        of_task = self.rows.get(f"{name}/{task}", {})
        return self.rows.get(name, of_task).get(task)
