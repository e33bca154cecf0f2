"""Scores of predictions on a split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.data.augmentation.modality_dropout import presence
from jlrun.data.batch import Batch
from jlrun.data.streams import Stream
from jlrun.engine import Engine, holds_float64
from jlrun.models.joint_model import JointModel
from jlrun.ranks.world import ALONE, World
from jlrun.tasks import SMALLER_IS_BETTER, Task, TaskSpec
from jlrun.tasks.objective import Objective


@dataclass(frozen=True)
class Prediction:
    """Predictions for the rows of a batch.

    Attributes:
        probabilities: ``(B, …)`` as `Task.probabilities` gives them, float64 but for maps.
        logits: ``(B, outputs)``; None for an ensemble, which has no loss.
        log_odds: of the probabilities, as `Task.log_odds` gives them; None where there are none.
    """

    probabilities: Tensor
    logits: Tensor | None
    log_odds: Tensor | None = None

    @classmethod
    def of(cls, task: Task, logits: Tensor) -> Prediction:
        """Return what the logits of a model predict."""
        logits = logits if logits.dtype == torch.float64 else logits.float()
        if task.dense:  # maps take much memory
            return cls(task.probabilities(logits), logits)
        # Units far from 0 and confident probabilities are equal in float32.
        exact = logits.double() if holds_float64(logits.device) else logits.cpu().double()
        return cls(task.probabilities(exact), logits, task.log_odds(exact))

    def of_rows(self, rows: Tensor) -> Prediction:
        """Return the predictions of some rows, by their indices or a mask ``(B,)``."""
        return self._map(lambda column: column[rows.to(column.device)])

    def on_cpu(self) -> Prediction:
        """Return the same on the CPU."""
        return self.on(torch.device("cpu"))

    def on(self, device: torch.device) -> Prediction:
        """Return the same on ``device``."""
        return self._map(lambda column: column.to(device))

    @staticmethod
    def concatenate(parts: Sequence[Prediction]) -> Prediction:
        """Return the predictions of all parts, at least one."""
        columns = zip(*((p.probabilities, p.logits, p.log_odds) for p in parts), strict=True)
        probabilities, logits, log_odds = (
            torch.cat(known)
            if len(known := [c for c in column if c is not None]) == len(parts)
            else None
            for column in columns
        )
        assert probabilities is not None
        return Prediction(probabilities, logits, log_odds)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Prediction:
        logits, log_odds = (
            None if c is None else function(c) for c in (self.logits, self.log_odds)
        )
        return Prediction(function(self.probabilities), logits, log_odds)


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
        if model.training:  # a walk over all modules costs as much as a small layer
            model.eval()
        with engine.autocast():
            logits = model(batch, [objective.head for objective in objectives]).logits
        return [Prediction.of(o.spec.task, logits[o.head]) for o in objectives]

    return predict


def ensemble(members: Sequence[Predict], takes: Sequence[Sequence[str]]) -> Predict:
    """Return the mean of the members' probabilities.

    Args:
        members: at least one.
        takes: the modalities of each; a member is left out of the mean for rows that lack all of
            its modalities, unless all members are.
    """

    def predict(batch: Batch, objectives: Sequence[Objective]) -> list[Prediction]:
        each = [member(batch, objectives) for member in members]
        counts = torch.stack([presence(batch, names).any(dim=1) for names in takes])
        return [_mean_prediction(same, counts) for same in zip(*each, strict=True)]

    return predict if len(members) > 1 else members[0]


def mean_prediction(members: Sequence[Prediction]) -> Prediction:
    """Return the mean over members, at least one, of the probabilities of the same rows."""
    if len(members) == 1:
        return members[0]
    rows = len(members[0].probabilities)
    return _mean_prediction(members, torch.ones(len(members), rows, dtype=torch.bool))


def _linear(weights: Tensor, x: Tensor) -> Tensor:
    return (weights * x).sum(dim=0)


def _logarithmic(weights: Tensor, x: Tensor) -> Tensor:
    return (weights.log() + x).logsumexp(dim=0)


def _mean_prediction(each: Sequence[Prediction], counts: Tensor) -> Prediction:
    """Return the mean of the probabilities, and its log-odds.

    Both log p and log (1 − p) are averaged in their own logarithms, so that neither is rounded to
    log 1.
    """
    mean = _mean_of([p.probabilities for p in each], counts)
    odds = [p.log_odds for p in each if p.log_odds is not None]
    if len(odds) < len(each):
        return Prediction(mean, None)
    yes, no = (
        _mean_of([F.logsigmoid(sign * o) for o in odds], counts, _logarithmic) for sign in (1, -1)
    )
    return Prediction(mean, None, yes - no)


def _mean_of(
    each: Sequence[Tensor],
    counts: Tensor,
    weighted_sum: Callable[[Tensor, Tensor], Tensor] = _linear,
) -> Tensor:
    """Return the mean ``(B, …)`` over the members that count for a row, Bool ``(members, B)``."""
    stacked = torch.stack(list(each))
    counts = (counts | ~counts.any(dim=0)).to(stacked)
    weights = (counts / counts.sum(dim=0)).view(*counts.shape, *[1] * (stacked.ndim - 2))
    return weighted_sum(weights, stacked)


@torch.no_grad()
def evaluate(
    predict: Predict,
    objectives: Sequence[Objective],
    streams: Mapping[str, Stream],
    observers: Sequence[Observer] = (),
    world: World = ALONE,
) -> dict[str, dict[str, float]]:
    """Return label -> metric -> value, each over the rows labelled for the task.

    A task without a labelled row has no scores.

    Args:
        predict: the model's predictions.
        objectives: what is scored.
        streams: stream -> split.
        observers: see all rows, on every rank.
        world: the ranks that share the batches; each has all predictions, and the same scores.
    """
    scores: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(objective.stream for objective in objectives):
        fed = [objective for objective in objectives if objective.stream == name]
        scorers = [Scorer(objective.spec) for objective in fed]
        for batch, predictions in _predicted(predict, fed, streams[name], world):
            for objective, scorer, prediction in zip(fed, scorers, predictions, strict=True):
                rows, prediction = _labelled_rows(batch, objective, prediction)
                if rows.size:
                    scorer.update(rows.targets[objective.spec.column], prediction)
                    for observer in observers:
                        observer.see(objective, rows, prediction.probabilities)
        for objective, scorer in zip(fed, scorers, strict=True):
            if scorer.count:
                scores[objective.label] = scorer.compute()
    return scores


def _predicted(
    predict: Predict, objectives: Sequence[Objective], stream: Stream, world: World
) -> Iterator[tuple[Batch, list[Prediction]]]:
    """Yield the batches of a split in order, with predictions; ranks take turns to predict."""
    if not world.several:
        yield from ((batch, predict(batch, objectives)) for batch in stream.sweep())
        return
    for batches in _by(world.size, stream.sweep()):
        # A rank that is left without a batch has nothing else to do, and a shard that others need.
        taken = batches[world.rank if world.rank < len(batches) else 0]
        own = [p.on_cpu() for p in predict(taken, objectives)]
        for batch, predictions in zip(batches, world.all_objects(own), strict=False):
            device = next(iter(batch.inputs.values())).device
            yield batch, [prediction.on(device) for prediction in predictions]


def _by(count: int, batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    """Yield ``count`` batches at a time; in the end maybe fewer."""
    iterator = iter(batches)
    while found := list(islice(iterator, count)):
        yield found


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
        """Take note of targets and predictions of labelled rows."""
        self.count += len(target)
        if prediction.logits is None:
            self._has_loss = False
        else:
            rows = self._spec.task.loss(prediction.logits, target)
            self._loss_sum += float(rows.double().sum())
        probabilities, log_odds = prediction.probabilities, prediction.log_odds
        if not self._spec.task.dense:  # the metrics of maps reduce them where they are
            probabilities, target = probabilities.cpu(), target.cpu()
            log_odds = probabilities if log_odds is None else log_odds.cpu()
        for metric in self._metrics.values():
            ranks = getattr(metric, "takes_log_odds", False)
            metric.update(log_odds if ranks else probabilities, target)

    def compute(self) -> dict[str, float]:
        """Return metric -> score of all rows, and the mean ``loss`` if it is known."""
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
    return batch.select(mask.nonzero()[:, 0]), prediction.of_rows(mask)


Scores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class SplitScores:
    """Scores by task and metric on the validation and test splits."""

    val: Scores
    test: Scores


def by_task(scores: Scores, objectives: Sequence[Objective]) -> dict[str, Mapping[str, float]]:
    """Return task -> metric -> score, of scores by the labels of objectives."""
    return {o.spec.name: scores[o.label] for o in objectives if o.label in scores}
