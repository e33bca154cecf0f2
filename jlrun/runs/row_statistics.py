"""Statistics of a run over the rows of its test split: intervals of scores, errors of gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jlrun.evaluation.bootstrap import LEVEL, Resampled, interval
from jlrun.evaluation.scores import Scores
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.strategies.gain_statistics import TaskGain, task_gain, with_statistics
from jlrun.tasks import Task, TaskSpec
from jlrun.training.plan import Comparison
from jlrun.training.recorder import MAIN_FIT

ByTask = Mapping[str, RowPredictions]
# Part of the gain -> the baseline that it is over.
_PARTS = {"over_ensemble": "ensemble", "over_reference": "reference"}


@dataclass(frozen=True)
class RowStatistics:
    """Statistics over the predictions of the test rows.

    Attributes:
        rows: fit or baseline -> task -> predictions.
        scored: task -> its kind, as the main fit scores it.
        main: test scores of the main fit.
        seed: of the resampling.
    """

    rows: Mapping[str, ByTask]
    scored: Mapping[str, Task]
    main: Scores
    seed: int
    resample: Resampled = field(default_factory=Resampled)

    def compared(self, comparison: Comparison, tasks: Sequence[TaskSpec]) -> Comparison:
        """Return the comparison whose gains have errors, paired over the test rows.

        Tasks whose predictions were not kept stay as they are.
        """
        gain = comparison.gain
        if gain is None or "per_task" not in gain:
            return comparison
        against = gain["against"]
        assert isinstance(against, str)
        judged = {
            part: self._judged(gain[part], comparison.baselines[over], over, tasks)
            for part, over in _PARTS.items()
            if part in gain
        }
        own = self._judged(gain, comparison.baselines[against], against, tasks)
        return replace(comparison, gain={**gain, **own, **judged})

    def _judged(
        self, gain: Any, baseline: Scores, against: str, tasks: Sequence[TaskSpec]
    ) -> dict[str, Any]:
        """Return a gain over a baseline with its errors."""
        found, tasks = dict[str, TaskGain](), [spec for spec in tasks if spec.name in self.main]
        for spec in tasks:
            ours, theirs = self._of(MAIN_FIT, spec.name), self._of(against, spec.name)
            if ours is None or theirs is None or not ours.same_rows_as(theirs):
                continue
            pair = (ours, theirs)
            each = task_gain(spec, self.main, baseline, pair, self.seed, self.resample)
            if each is not None:
                found[spec.name] = each
        return with_statistics(gain, found, tasks)

    def intervals(self, baselines: Mapping[str, Scores]) -> dict[str, Any]:
        """Return ``intervals``: ``test`` of the main fit, and ``baselines`` by their names.

        Each is task -> metric -> lower and upper end, of the scores that there are.
        """
        of_main = self._intervals(MAIN_FIT, self.main)
        found = {name: self._intervals(name, scores) for name, scores in baselines.items()}
        of_baselines = {name: ends for name, ends in found.items() if ends}
        if not of_main and not of_baselines:
            return {}
        return {"intervals": {"level": LEVEL, "test": of_main, "baselines": of_baselines}}

    def _intervals(self, name: str, scores: Scores) -> dict[str, dict[str, list[float]]]:
        found = {}
        for task, kind in self.scored.items():
            rows, measured = self._of(name, task), scores.get(task, {})
            if rows is None:
                continue
            values = self.resample(kind, rows, self.seed)
            known = {m: v for m, v in values.items() if m in measured}
            ends = {m: interval(m, measured[m], v, len(rows)) for m, v in known.items()}
            found[task] = {metric: list(pair) for metric, pair in ends.items() if pair}
        return {task: ends for task, ends in found.items() if ends}

    def _of(self, name: str, task: str) -> RowPredictions | None:
        """Return the predictions of a fit, or of the one that a baseline trains for the task."""
        of_task = self.rows.get(f"{name}/{task}", {})
        return self.rows.get(name, of_task).get(task)
