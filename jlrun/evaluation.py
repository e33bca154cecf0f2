"""Scores of predictions on a split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.modality_dropout import presence
from jlrun.data.streams import Stream
from jlrun.engine import Engine
from jlrun.model import JointModel
from jlrun.phase import Objective
from jlrun.tasks import SMALLER_IS_BETTER, TaskSpec


@dataclass(frozen=True)
class Prediction:
    """What is predicted for the rows of a batch.

    Attributes:
        probabilities: ``(B, …)`` as `Task.probabilities` gives them.
        logits: ``(B, outputs)``; None for an ensemble, which has no loss.
    """

    probabilities: Tensor
    logits: Tensor | None


Predict = Callable[[Batch, Sequence[Objective]], list[Prediction]]


class Observer(Protocol):
    """Looks on while a split is scored, so that the split is read only once."""

    def see(self, objective: Objective, batch: Batch, probabilities: Tensor) -> None:
        """Take note of labelled rows: ``batch`` and ``probabilities`` have the same length."""
        ...

    def finish(self, step: int) -> None:
        """The split has been read; ``step`` is the fit's last optimizer step."""
        ...


def predictor(model: JointModel, engine: Engine) -> Predict:
    """Return the predictions of one model, put in evaluation mode."""

    def predict(batch: Batch, objectives: Sequence[Objective]) -> list[Prediction]:
        model.eval()
        with engine.autocast():
            logits = model(batch, [objective.head for objective in objectives]).logits
        return [
            Prediction(o.spec.task.probabilities(logits[o.head].float()), logits[o.head].float())
            for o in objectives
        ]

    return predict


def ensemble(members: Sequence[Predict], takes: Sequence[Sequence[str]]) -> Predict:
    """Return the mean of the members' probabilities.

    Args:
        members: at least one.
        takes: the modalities of each; a member has no say on rows that have none of them, unless
            no member has one.
    """

    def predict(batch: Batch, objectives: Sequence[Objective]) -> list[Prediction]:
        each = [member(batch, objectives) for member in members]
        says = torch.stack([presence(batch, names).any(dim=1) for names in takes])
        return [
            Prediction(_mean_of([p.probabilities for p in same], says), None)
            for same in zip(*each, strict=True)
        ]

    return predict if len(members) > 1 else members[0]


def _mean_of(each: Sequence[Tensor], says: Tensor) -> Tensor:
    """Return the mean ``(B, …)`` over those that have a say in a row, Bool ``(members, B)``."""
    stacked = torch.stack(list(each))
    if bool(says.all()):
        return stacked.mean(dim=0)
    says = says | ~says.any(dim=0)
    weights = (says / says.sum(dim=0)).view(*says.shape, *[1] * (stacked.ndim - 2))
    return (weights * stacked).sum(dim=0)


@torch.no_grad()
def evaluate(
    predict: Predict,
    objectives: Sequence[Objective],
    streams: Mapping[str, Stream],
    observers: Sequence[Observer] = (),
) -> dict[str, dict[str, float]]:
    """Return label -> metric -> value, each over the rows labelled for the task.

    A task without a labelled row has no scores.
    """
    scores: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(objective.stream for objective in objectives):
        fed = [objective for objective in objectives if objective.stream == name]
        scorers = [Scorer(objective.spec) for objective in fed]
        for batch in streams[name].sweep():
            for objective, scorer, prediction in zip(
                fed, scorers, predict(batch, fed), strict=True
            ):
                rows, prediction = _labelled_rows(batch, objective, prediction)
                if rows.size:
                    scorer.update(rows.targets[objective.spec.column], prediction)
                    for observer in observers:
                        observer.see(objective, rows, prediction.probabilities)
        for objective, scorer in zip(fed, scorers, strict=True):
            if scorer.count:
                scores[objective.label] = scorer.compute()
    return scores


def mean_score(scores: Mapping[str, Mapping[str, float]], selection: Sequence[Objective]) -> float:
    """Return the mean of the tasks' primary metrics; larger is better.

    A metric of which less is better counts with a minus.
    """
    values = [
        _larger_is_better(o.spec.task.primary, scores[o.label][o.spec.task.primary])
        for o in selection
        if o.label in scores
    ]
    return sum(values) / len(values) if values else float("nan")


def mean_loss(scores: Mapping[str, Mapping[str, float]], selection: Sequence[Objective]) -> float:
    """Return the mean of the tasks' losses."""
    values = [scores[o.label]["loss"] for o in selection if o.label in scores]
    return sum(values) / len(values) if values else float("nan")


def _larger_is_better(metric: str, value: float) -> float:
    return -value if metric in SMALLER_IS_BETTER else value


class Scorer:
    """Accumulates the metrics and the mean loss of one task."""

    def __init__(self, spec: TaskSpec) -> None:
        self._spec = spec
        self._metrics = spec.task.metrics(spec.classes)
        self._loss_sum = 0.0
        self._has_loss = True
        self.count = 0

    def update(self, target: Tensor, prediction: Prediction) -> None:
        self.count += len(target)
        if prediction.logits is None:
            self._has_loss = False
        else:
            rows = self._spec.task.loss(prediction.logits, target)
            self._loss_sum += float(rows.double().sum())
        probabilities = prediction.probabilities
        if not self._spec.task.dense:  # the metrics of maps reduce them where they are
            probabilities, target = probabilities.cpu(), target.cpu()
        for metric in self._metrics.values():
            metric.update(probabilities, target)

    def compute(self) -> dict[str, float]:
        values: dict[str, float] = {}
        for name, metric in self._metrics.items():
            computed = metric.compute()
            several = computed if isinstance(computed, dict) else {name: computed}
            values |= {key: float(value) for key, value in several.items()}
        return values | ({"loss": self._loss_sum / self.count} if self._has_loss else {})


def _labelled_rows(
    batch: Batch, objective: Objective, prediction: Prediction
) -> tuple[Batch, Prediction]:
    mask = batch.labelled.get(objective.spec.column)
    if mask is None or bool(mask.all()):
        return batch, prediction
    logits = None if prediction.logits is None else prediction.logits[mask]
    return batch.select(mask.nonzero()[:, 0]), Prediction(prediction.probabilities[mask], logits)
