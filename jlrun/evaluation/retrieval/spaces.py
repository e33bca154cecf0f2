"""All that is measured of the shared spaces of a model, on the test split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from jlrun.data.batch import Batch
from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.specs import Spec, TextSpec
from jlrun.engine import Engine
from jlrun.evaluation.retrieval.classes import (
    by_class_vectors,
    centroid_accuracies,
    class_vectors,
    knn_accuracies,
    linear_accuracies,
    modality_gap,
)
from jlrun.evaluation.retrieval.embedded import Embedded, embed
from jlrun.evaluation.retrieval.ranks import recall_between
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.cross_modal.base import check_column
from jlrun.tasks import Binary, Multiclass, TaskSpec


@dataclass(frozen=True)
class Retrieval:
    """Options of the config group ``retrieval``.

    Attributes:
        positives: target columns; rows with equal labels in all of them are right answers for each
            other. Empty: rows with equal text are.
        templates: sentences with one ``{}`` for the name of a class.
        rows: at most this many rows of a split are embedded.
    """

    positives: tuple[str, ...] = ()
    templates: tuple[str, ...] = ("{}",)
    rows: int = 5000

    def check(self, batch: Batch) -> None:
        """Check that rows have what `positives` names.

        Raises:
            UserError: if one is no target column with classes.
        """
        for name in self.positives:
            check_column("retrieval.positives", name, batch)


@dataclass(frozen=True)
class Findings:
    """Result of `measure_spaces`.

    Attributes:
        retrieval: space -> pair of modalities -> direction -> scores.
        spaces: space -> what else is measured of it: ``modality_gap`` by pair, and by task
            ``prompts``, ``centroids``, ``linear`` and ``knn``.
        rows: space -> the test rows in it.
    """

    retrieval: Mapping[str, Any] = field(default_factory=dict)
    spaces: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, Embedded] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what ``result.json`` has of it; nothing for a model without a space."""
        if not self.retrieval:
            return {}
        return {"retrieval": self.retrieval, "shared_space": self.spaces}

    def values(self) -> dict[str, float]:
        """Return tag -> value, for the records."""
        recalls = dict(_flat("retrieval/test", self.retrieval))
        return recalls | dict(_flat("shared_space", self.spaces))


def measure_spaces(
    model: JointModel,
    engine: Engine,
    dataset: LabelledStreams,
    specs: Mapping[str, Spec],
    options: Retrieval,
) -> Findings:
    """Read the test split, and at most as many training rows, and return what comes of it.

    Args:
        model: with the weights to be scored.
        engine: device and precision.
        dataset: the data set.
        specs: modality -> what the model takes.
        options: how answers and classes are meant.

    Raises:
        UserError: if ``retrieval.positives`` are no columns with classes.
    """
    if not model.spaces:
        return Findings()
    train, test = (
        embed(model, engine, stream.sample(options.rows), options.positives)
        for stream in (dataset.train, dataset.test)
    )
    tasks = [spec for spec in dataset.tasks if isinstance(spec.task, Multiclass | Binary)]
    text = next(((m, s) for m, s in specs.items() if isinstance(s, TextSpec)), None)
    named = {
        spec.name: class_vectors(model, engine, text, spec.classes, options.templates)
        for spec in tasks
        if text is not None
    }
    return Findings(
        retrieval={name: _retrieval(rows) for name, rows in test.items()},
        spaces={
            name: {
                "modality_gap": {_pair(*p): modality_gap(rows, *p) for p in _pairs(rows)},
                "prompts": _prompts(
                    tasks, {t: v.get(name) for t, v in named.items()}, dataset, rows
                ),
                **_probes(tasks, train[name], rows),
            }
            for name, rows in test.items()
        },
        rows=test,
    )


def _retrieval(rows: Embedded) -> dict[str, Any]:
    found = {_pair(*pair): recall_between(rows, *pair) for pair in _pairs(rows)}
    return {pair: scores for pair, scores in found.items() if scores}


def _prompts(
    tasks: Sequence[TaskSpec], vectors: Mapping[str, Any], dataset: LabelledStreams, rows: Embedded
) -> dict[str, Any]:
    """Return task -> modality -> scores of zero-shot classification by class names."""
    found: dict[str, Any] = {}
    for spec in tasks:
        classes = vectors.get(spec.name)
        if classes is None:
            continue
        unseen = _unseen(spec, dataset)
        if unseen:
            found.setdefault(spec.name, {})["unseen_classes"] = [spec.classes[i] for i in unseen]
        for modality in rows.modalities:
            x, labels = rows.labelled(modality, spec.column)
            if len(x):
                scores = by_class_vectors(x, labels, classes, unseen)
                found.setdefault(spec.name, {})[modality] = scores
    return found


def _unseen(spec: TaskSpec, dataset: LabelledStreams) -> list[int]:
    """Return the classes without a training row."""
    rows = dataset.pool.rows
    labels, mask = rows.targets[spec.column], rows.labelled.get(spec.column)
    seen = set((labels if mask is None else labels[mask]).long().unique().tolist())
    return [i for i in range(len(spec.classes)) if i not in seen]


def _probes(tasks: Sequence[TaskSpec], train: Embedded, test: Embedded) -> dict[str, Any]:
    measures = {
        "centroids": centroid_accuracies,
        "linear": linear_accuracies,
        "knn": knn_accuracies,
    }
    return {
        name: {spec.name: measure(train, test, spec.column) for spec in tasks}
        for name, measure in measures.items()
    }


def _pairs(rows: Embedded) -> list[tuple[str, str]]:
    return list(combinations(rows.modalities, 2))


def _pair(one: str, other: str) -> str:
    return f"{one}-{other}"


def _flat(prefix: str, content: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in content.items():
        tag = f"{prefix}/{name.replace(' ', '_')}"
        if isinstance(value, Mapping):
            yield from _flat(tag, value)
        elif isinstance(value, float):
            yield tag, value
