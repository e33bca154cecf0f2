"""Reference models of scikit-learn as a baseline of a run, for tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from jlrun.errors import Interrupted
from jlrun.evaluation.scores import Scores
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.reporting.recorders.formats import format_count
from jlrun.runs.assembly import Assembly
from jlrun.strategies.gain import relative_gain
from jlrun.tasks import TaskSpec
from jlrun.training.plan import Comparison
from jlrun.training.recorder import Recorder
from jlrun.wording import counted

if TYPE_CHECKING:
    from jlrun.evaluation.references import ReferenceRows, TaskReference

REFERENCE = "reference"

WITHOUT_VAL = "reference: no model of scikit-learn, without validation rows to choose it by"


@dataclass(frozen=True)
class References:
    """Reference models of a run's tasks.

    Attributes:
        by_task: task -> its models.
    """

    by_task: Mapping[str, TaskReference] = field(default_factory=dict)

    @property
    def test(self) -> Scores:
        """Task -> test scores of the model that validation chose."""
        return {task: found.test for task, found in self.by_task.items()}

    @property
    def rows(self) -> dict[str, RowPredictions]:
        """Task -> its predictions of the test rows."""
        return {task: found.predictions for task, found in self.by_task.items()}

    def to_json(self) -> dict[str, Any]:
        """Return the ``reference_models`` of ``result.json``; nothing without any."""
        found = {
            task: {
                "chosen": each.chosen,
                "train_rows": each.num_rows,
                "models": {
                    name: {"settings": dict(m.settings), "val": m.val, "test": m.test}
                    for name, m in each.models.items()
                },
            }
            for task, each in self.by_task.items()
        }
        return {"reference_models": found} if found else {}

    def compared(
        self, comparison: Comparison, main: Scores, tasks: Sequence[TaskSpec]
    ) -> Comparison:
        """Return the comparison with the references as one more baseline.

        Without another baseline they are what gains are over.
        """
        tasks = [spec for spec in tasks if spec.name in self.by_task and spec.name in main]
        if not tasks:
            return comparison
        counts = {task: len(rows) for task, rows in self.rows.items()}
        over = relative_gain(main, self.test, tasks, counts)
        before = comparison.gain or {"against": REFERENCE, **over}
        return replace(
            comparison,
            baselines={**comparison.baselines, REFERENCE: self.test},
            gain={**before, f"over_{REFERENCE}": over},
        )


def make_references(
    assembly: Assembly, interrupted: Callable[[], bool], recorder: Recorder
) -> References:
    """Fit the reference models of each data set that is a table.

    They learn from the labelled training rows of the main fit's last phase.

    Raises:
        Interrupted: if the user stops the run.
    """
    settings = assembly.settings
    if not (settings.references and settings.strategy.baselines) or settings.data.zero_shot:
        return References()
    from threadpoolctl import threadpool_limits

    from jlrun.evaluation.references import fit_references

    def check() -> None:
        if interrupted():
            raise Interrupted

    found: dict[str, TaskReference] = {}
    with threadpool_limits(torch.get_num_threads()):
        for rows, tasks in _tables(assembly):
            if not len(rows.val):
                recorder.message(WITHOUT_VAL)
                continue
            recorder.message(_begin_line(rows, tasks, settings.seed))
            found |= fit_references(rows, tasks, settings.seed, check)
    return References(found)


def _tables(assembly: Assembly) -> list[tuple[ReferenceRows, list[TaskSpec]]]:
    """Return the tables whose labels are learned from and scored, with their tasks."""
    from jlrun.evaluation.references import ReferenceRows, SplitRows
    from jlrun.evaluation.references.estimators import supported

    plan, fit = assembly.plan, assembly.plan.fits[0]
    learned = {o.stream for o in fit.phases[-1].objectives}
    found = []
    for name in dict.fromkeys(o.stream for o in fit.scored if o.stream in learned):
        streams = (fit.phases[-1].train[name], plan.val[name], plan.test[name])
        splits = [SplitRows.of(stream.rows, fit.modalities) for stream in streams]
        tasks = [o.spec for o in fit.scored if o.stream == name and supported(o.spec)]
        known = [split for split in splits if split is not None]
        if tasks and len(known) == len(splits):
            found.append((ReferenceRows(*known), tasks))
    return found


def _begin_line(rows: ReferenceRows, tasks: Sequence[TaskSpec], seed: int) -> str:
    used, total = len(rows.train.used(tasks, seed)), len(rows.train)
    share = f"{format_count(used)} of " if used < total else ""
    return (
        f"reference: models of scikit-learn on {share}{counted(total, 'training row')} "
        "(references=false leaves them out)"
    )
