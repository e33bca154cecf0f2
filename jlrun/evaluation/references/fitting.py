"""Fit reference models on training rows, choose on validation rows, score on test rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from jlrun.evaluation.references.estimators import Candidate, Predict, candidates, fit, num_targets
from jlrun.evaluation.references.features import Features, Featurizer, categories_of
from jlrun.evaluation.references.rows import ReferenceRows, SplitRows
from jlrun.evaluation.references.stacking import STACKED, stackable, stacked
from jlrun.evaluation.scores import Prediction, Scorer
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.tasks import SMALLER_IS_BETTER, TaskSpec

_ROWS_AT_ONCE = 10_000
_MOST_FEATURES = 50_000  # of texts
_MOST_COEFFICIENTS = 1_000_000  # of a linear model of texts

Metrics = dict[str, float]


@dataclass(frozen=True)
class ReferenceModel:
    """A model with the settings that score best on the validation rows.

    Attributes:
        settings: name -> value.
        val, test: metric -> score.
    """

    settings: Mapping[str, float | bool]
    val: Metrics
    test: Metrics


@dataclass(frozen=True)
class TaskReference:
    """The reference models of a task.

    Attributes:
        chosen: the model that scores best on the validation rows.
        models: name -> model.
        num_rows: labelled training rows that they learned from.
        predictions: of the chosen model on the labelled test rows.
    """

    chosen: str
    models: Mapping[str, ReferenceModel]
    num_rows: int
    predictions: RowPredictions

    @property
    def test(self) -> Metrics:
        """Test scores of the chosen model."""
        return self.models[self.chosen].test


@dataclass(frozen=True)
class _Fitted:
    """A candidate with what it scores on the validation rows."""

    candidate: Candidate
    predict: Predict
    val: Metrics
    rank: tuple[float, float]


def fit_references(
    splits: ReferenceRows,
    tasks: Sequence[TaskSpec],
    seed: int,
    after_each: Callable[[], None] = lambda: None,
) -> dict[str, TaskReference]:
    """Return task -> its reference models.

    A task without a labelled row in one of the splits has none.

    Args:
        splits: of a table.
        tasks: of its columns.
        seed: of the choice among too many rows.
        after_each: called after each fit.
    """
    tasks = [
        spec
        for spec in tasks
        if all(s.labelled(spec).any() for s in (splits.train, splits.val, splits.test))
    ]
    if not tasks:
        return {}
    train, val = splits.train.used(tasks, seed), splits.val.used(tasks, seed)
    width = _MOST_COEFFICIENTS // max(map(num_targets, tasks))
    featurizer = Featurizer.fit(splits.train.inputs, train, min(_MOST_FEATURES, max(1_000, width)))
    learned = _Labelled(splits.train, train, featurizer(splits.train.inputs, train))
    judged = _Labelled(splits.val, val, featurizer(splits.val.inputs, val))
    best = {spec: _best_of_each(spec, learned, judged, after_each) for spec in tasks}
    on_test = {spec: _OnTest(spec, found) for spec, found in best.items() if found}
    _read_test(splits.test, featurizer, list(on_test.values()))
    return {
        spec.name: scored.reference(len(learned.of(spec)[0])) for spec, scored in on_test.items()
    }


@dataclass(frozen=True)
class _Labelled:
    """Some rows of a split and their features."""

    split: SplitRows
    rows: np.ndarray
    features: Features

    def of(self, spec: TaskSpec) -> tuple[np.ndarray, Tensor]:
        """Return which of the rows are labelled for a task, and their targets."""
        places = np.flatnonzero(self.split.labelled(spec)[self.rows])
        return places, self.split.target(spec, self.rows[places])


def _best_of_each(
    spec: TaskSpec, learned: _Labelled, judged: _Labelled, after_each: Callable[[], None]
) -> dict[str, _Fitted]:
    """Return model -> its best settings; nothing where sampling left a task without rows."""
    (rows, target), (val_rows, val_target) = learned.of(spec), judged.of(spec)
    best: dict[str, _Fitted] = {}
    if not len(rows) or not len(val_rows):
        return best
    for candidate, predict in _fitted(spec, learned, rows, target, best):
        after_each()
        logits = predict(_features(candidate, judged.features, val_rows))
        scores = _scores(spec, [(logits, val_target)])
        found = _Fitted(candidate, predict, scores, _rank(spec, scores))
        if candidate.model not in best or found.rank > best[candidate.model].rank:
            best[candidate.model] = found
    return best


def _fitted(
    spec: TaskSpec,
    learned: _Labelled,
    rows: np.ndarray,
    target: Tensor,
    best: Mapping[str, _Fitted],
) -> Iterator[tuple[Candidate, Predict]]:
    """Fit each candidate; those that stack last, on the linear model of texts that is the best."""
    categories = categories_of(learned.split.inputs)
    for candidate in candidates(spec, learned.features.keys(), categories):
        yield candidate, fit(candidate, spec, _features(candidate, learned.features, rows), target)
    if STACKED in learned.features and "linear_text" in best and stackable(spec, len(rows)):
        both = learned.features[STACKED][rows]
        yield from stacked(spec, best["linear_text"].candidate, categories, both, target)


def _features(candidate: Candidate, features: Features, rows: np.ndarray) -> Any:
    found = features.get(candidate.model)
    return np.zeros((len(rows), 1)) if found is None else found[rows]


def _rank(spec: TaskSpec, scores: Metrics) -> tuple[float, float]:
    """Return the primary metric, larger being better, and the negative loss for those equal."""
    metric = spec.task.primary
    value = -scores[metric] if metric in SMALLER_IS_BETTER else scores[metric]
    return (value if math.isfinite(value) else -math.inf), -scores["loss"]


def _scores(spec: TaskSpec, parts: Sequence[tuple[Tensor, Tensor]]) -> Metrics:
    scorer = Scorer(spec)
    for logits, target in parts:
        scorer.update(target, Prediction.of(spec.task, logits))
    return scorer.compute()


class _OnTest:
    """Scores of the best models of a task, block by block of test rows."""

    def __init__(self, spec: TaskSpec, best: Mapping[str, _Fitted]) -> None:
        self._spec, self._best = spec, best
        self.chosen = max(best, key=lambda model: best[model].rank)
        self._scorers = {model: Scorer(spec) for model in best}
        self._kept: list[tuple[Tensor, Tensor]] = []

    def see(self, block: _Labelled) -> None:
        rows, target = block.of(self._spec)
        if not len(rows):
            return
        for model, fitted in self._best.items():
            logits = fitted.predict(_features(fitted.candidate, block.features, rows))
            prediction = Prediction.of(self._spec.task, logits)
            self._scorers[model].update(target, prediction)
            if model == self.chosen:
                self._kept.append((prediction.probabilities, target))

    def reference(self, num_rows: int) -> TaskReference:
        models = {
            model: ReferenceModel(
                fitted.candidate.settings, fitted.val, self._scorers[model].compute()
            )
            for model, fitted in self._best.items()
        }
        probabilities, target = (torch.cat(column) for column in zip(*self._kept, strict=True))
        return TaskReference(self.chosen, models, num_rows, RowPredictions(probabilities, target))


def _read_test(test: SplitRows, featurizer: Featurizer, tasks: Sequence[_OnTest]) -> None:
    """Score all models in one pass over the test rows."""
    for start in range(0, len(test), _ROWS_AT_ONCE):
        rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(test)))
        block = _Labelled(test, rows, featurizer(test.inputs, rows))
        for task in tasks:
            task.see(block)
