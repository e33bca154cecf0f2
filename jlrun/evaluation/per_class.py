"""Precision, recall and F1 of each class or label, counted while a split is scored."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.tasks import Binary, Multiclass, Multilabel, Ordinal
from jlrun.tasks.metrics.class_counts import ClassCounts
from jlrun.tasks.objective import Objective

# Label of a task -> class -> `precision`, `recall`, `f1`, and `rows`, in which it occurs.
PerClass = Mapping[str, Mapping[str, Mapping[str, float]]]


class PerClassCounts:
    """Counts the classes of tasks that have some, exclusive or not, as an `Observer`."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[Objective, ClassCounts]] = {}

    def see(self, objective: Objective, batch: Batch, probabilities: Tensor) -> None:
        """Take note of a batch that is scored."""
        task, classes = objective.spec.task, objective.spec.classes
        target, probabilities = batch.targets[objective.spec.column].cpu(), probabilities.cpu()
        if isinstance(task, Multilabel):
            counts = ClassCounts.of_labels(task.decide(probabilities), target)
        elif isinstance(task, Multiclass | Binary | Ordinal):
            known = ~probabilities.isnan().any(dim=1)
            decided = task.decide(probabilities[known])
            counts = ClassCounts.of_classes(decided, target[known], len(classes))
            counts = counts.plus(ClassCounts.unpredicted(target[~known], len(classes)))
        else:
            return
        before = self._found.get(objective.label)
        total = counts if before is None else before[1].plus(counts)
        self._found[objective.label] = objective, total

    def finish(self, step: int) -> None:
        """Nothing is recorded."""

    def by_task(self) -> PerClass:
        """Return what was counted so far; a precision or recall of nothing is NaN."""
        return {
            label: counts.by_name(objective.spec.classes)
            for label, (objective, counts) in self._found.items()
        }
