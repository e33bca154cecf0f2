"""Curves of precision over recall, of rows that are seen while the test split is scored."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.tasks import Binary, Multiclass, Multilabel, TaskSpec
from jlrun.tasks.objective import Objective
from jlrun.training.recorder import Recorder

MOST_CLASSES = 20  # of a task, the first ones; more curves are not to be told from each other


class PrecisionRecallObserver:
    """Keeps probabilities and targets of tasks with classes, and records ``pr/<task>/<class>``.

    Of two classes, the second alone has a curve.

    Args:
        recorder: is given the curves.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._specs: dict[str, TaskSpec] = {}
        self._parts: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def see(self, objective: Objective, batch: Batch, probabilities: Tensor) -> None:
        """Take note of a batch that is scored."""
        spec = objective.spec
        if not isinstance(spec.task, Binary | Multiclass | Multilabel):
            return
        self._specs[objective.label] = spec
        part = probabilities.cpu(), batch.targets[spec.column].cpu()
        self._parts.setdefault(objective.label, []).append(part)

    def finish(self, step: int) -> None:
        """Record what was seen, if anything was."""
        for label, parts in self._parts.items():
            probabilities, targets = (torch.cat(each) for each in zip(*parts, strict=True))
            known = ~probabilities.isnan().any(dim=1)
            spec = self._specs[label]
            positive = _positive(spec, targets[known])
            for index in _shown(spec):
                scores = probabilities[known, index]
                tag = f"pr/{label}/{spec.classes[index]}"
                self._recorder.precision_recall(tag, positive[:, index], scores, step)


def _positive(spec: TaskSpec, targets: Tensor) -> Tensor:
    """Return Bool ``(N, C)``, which classes each row has."""
    if targets.ndim == 2:
        return targets > 0.5
    return targets.long()[:, None] == torch.arange(len(spec.classes))


def _shown(spec: TaskSpec) -> range:
    first = 1 if isinstance(spec.task, Binary) else 0
    return range(first, min(len(spec.classes), MOST_CLASSES))
