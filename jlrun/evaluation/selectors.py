"""Selectors: what scores a model at the end of an epoch, with or without labels of the target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Protocol

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.streams import Stream
from jlrun.engine import Engine
from jlrun.errors import UserError
from jlrun.evaluation.probes import representation_scores
from jlrun.evaluation.retrieval.embedded import embed
from jlrun.evaluation.retrieval.ranks import RECALL, recall_between
from jlrun.evaluation.retrieval.spaces import Retrieval
from jlrun.evaluation.validators import (
    BNM,
    SND,
    Entropy,
    Evidence,
    InformationMaximization,
    SourceAccuracy,
    Validator,
)
from jlrun.models.joint_model import JointModel, Outputs
from jlrun.tasks import Binary, Multiclass
from jlrun.tasks.objective import Objective


@dataclass(frozen=True)
class Selection:
    """Verdict of a selector on a model.

    Attributes:
        score: larger is better; None: the mean validation score counts.
        shown: those of the values that are shown after each epoch.
        values: tag -> value, for the records.
    """

    score: float | None = None
    shown: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)


class Selector(Protocol):
    """Scores a model at the end of an epoch without looking at the target's labels.

    ``criterion`` is what its score is called in results.
    """

    @property
    def criterion(self) -> str:
        """Name of the score that it selects by."""
        ...

    def __call__(self, model: JointModel, engine: Engine, epoch: int) -> Selection:
        """Judge ``model``, in evaluation mode, after ``epoch`` epochs of the phase."""
        ...


class SelectByValidation:
    """The validation score selects."""

    criterion = "val/mean_score"

    def __call__(self, model: JointModel, engine: Engine, epoch: int) -> Selection:
        return Selection()


SAMPLE = 2000  # rows that are read of a training split


class ByValidator:
    """Selects by an unsupervised validator; records the cheap ones too.

    Scores are means over the heads that sources and target share. Of the target, the validation
    rows are read, without their labels.

    Args:
        validator: selects.
        sources, target: the data sets.
        shared: objectives of the target, of tasks with exclusive classes.

    Raises:
        UserError: if a task has no exclusive classes.
    """

    def __init__(
        self,
        validator: Validator,
        sources: Sequence[LabelledStreams],
        target: LabelledStreams,
        shared: Sequence[Objective],
    ) -> None:
        for objective in shared:
            if not isinstance(objective.spec.task, Multiclass | Binary):
                raise UserError.of(
                    "validator",
                    f"'{objective.spec.name}' has no exclusive classes, which all validators need; "
                    "choose tasks=[…] that have",
                )
        self._validator, self._sources, self._target = validator, sources, target
        self._shared = shared
        self.criterion = f"validator/{validator.name}"
        # Deep embedded validation fits classifiers: it is computed only where it selects.
        others = (SourceAccuracy(), InformationMaximization(), SND(), Entropy(), BNM())
        self._others = tuple(other for other in others if other.name != validator.name)

    def __call__(self, model: JointModel, engine: Engine, epoch: int) -> Selection:
        train = [dataset.train.sample(SAMPLE) for dataset in self._sources]
        features = torch.cat([_features(model, engine, stream) for stream in train])
        evidence = [self._evidence(model, engine, o, features) for o in self._shared]

        def mean(validator: Validator) -> float:
            return sum(validator.score(each) for each in evidence) / len(evidence)

        score = mean(self._validator)
        values = {f"validator/{other.name}": mean(other) for other in self._others}
        own = {self.criterion: score}
        return Selection(score, shown=own, values={**own, **values})

    def _evidence(
        self, model: JointModel, engine: Engine, objective: Objective, train_features: Tensor
    ) -> Evidence:
        head, rows = objective.head, []
        for dataset in self._sources:
            for spec in dataset.tasks:
                if spec.name == objective.spec.name:
                    rows += list(_labelled(model, engine, dataset.val, head, spec.column))
        features, logits, labels = (torch.cat(column) for column in zip(*rows, strict=True))
        outputs = [out for _, out in _outputs(model, engine, self._target.val, (head,))]
        return Evidence(
            source_train_features=train_features,
            source_features=features,
            source_logits=logits,
            source_labels=labels,
            target_features=torch.cat([_cpu(out.fused) for out in outputs]),
            target_logits=torch.cat([_cpu(out.logits[head]) for out in outputs]),
        )


@dataclass(frozen=True)
class ByRepresentation:
    """Records what the features are good for; keeps the last epoch.

    With a shared space of modalities it keeps the epoch whose recall at 1 on validation rows is
    best in the mean over data sets, spaces, pairs and directions: that takes no labels. Probes see
    the labels of training and validation rows; the model does not.

    Attributes:
        datasets: the data sets whose features are probed.
        retrieval: how shared spaces are scored.
        criterion: what the score is: ``epoch``, or `RECALL` where there is a shared space.
    """

    datasets: Sequence[LabelledStreams]
    retrieval: Retrieval = field(default_factory=Retrieval)
    criterion: str = "epoch"

    def __call__(self, model: JointModel, engine: Engine, epoch: int) -> Selection:
        values = {}
        recalls = self._recalls(model, engine)
        for dataset in self._with_validation_rows():
            main = next((s for s in dataset.tasks if isinstance(s.task, Multiclass | Binary)), None)
            column = None if main is None else main.column
            train, train_labels = _with_labels(model, engine, dataset.train.sample(SAMPLE), column)
            val, val_labels = _with_labels(model, engine, dataset.val.sample(SAMPLE), column)
            scores = representation_scores(train, train_labels, val, val_labels)
            values |= {f"representation/{dataset.name}/{name}": v for name, v in scores.items()}
        if not recalls:
            return Selection(float(epoch), shown=values, values=values)
        score = sum(recalls.values()) / len(recalls)
        mean = {RECALL: score}
        return Selection(score, shown=mean | values, values=mean | recalls | values)

    def _with_validation_rows(self) -> list[LabelledStreams]:
        return [dataset for dataset in self.datasets if len(dataset.val.rows)]

    def _recalls(self, model: JointModel, engine: Engine) -> dict[str, float]:
        """Return tag -> recall at 1 on validation rows."""
        found = {}
        for dataset in self._with_validation_rows() if model.spaces else ():
            stream = dataset.val.sample(self.retrieval.rows)
            for space, rows in embed(model, engine, stream, self.retrieval.positives).items():
                for pair in combinations(rows.modalities, 2):
                    for direction, scores in recall_between(rows, *pair).items():
                        where = f"{dataset.name}/{space}/{direction.replace(' ', '_')}"
                        found[f"retrieval/val/{where}/recall_at_1"] = scores["recall_at_1"]
        return found


@torch.no_grad()
def _outputs(
    model: JointModel, engine: Engine, stream: Stream, heads: tuple[str, ...]
) -> Iterator[tuple[Batch, Outputs]]:
    for batch in stream.sweep():
        with engine.autocast():
            outputs = model(batch, heads)
        yield batch, outputs


def _labelled(
    model: JointModel, engine: Engine, stream: Stream, head: str, column: str
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield features, logits and labels of the labelled rows of each batch."""
    for batch, outputs in _outputs(model, engine, stream, (head,)):
        mask = batch.labelled.get(column)
        rows = torch.ones(batch.size, dtype=torch.bool) if mask is None else mask.cpu()
        columns = (outputs.fused, outputs.logits[head])
        features, logits = (_cpu(column)[rows] for column in columns)
        yield features, logits, batch.targets[column].cpu()[rows].long()


@torch.no_grad()
def _features(model: JointModel, engine: Engine, stream: Stream) -> Tensor:
    return _with_labels(model, engine, stream, None)[0]


@torch.no_grad()
def _with_labels(
    model: JointModel, engine: Engine, stream: Stream, column: str | None
) -> tuple[Tensor, Tensor | None]:
    """Return the features of all rows, or, with a column, of those that have a label in it."""
    features, labels = [], []
    for batch in stream.sweep():
        with engine.autocast():
            fused = _cpu(model.encode(batch))
        if column is not None:
            mask = batch.labelled.get(column)
            rows = torch.ones(batch.size, dtype=torch.bool) if mask is None else mask.cpu()
            fused, found = fused[rows], batch.targets[column].cpu()[rows].long()
            labels.append(found)
        features.append(fused)
    return torch.cat(features), torch.cat(labels) if column is not None else None


def _cpu(tensor: Tensor) -> Tensor:
    return tensor.float().cpu()
