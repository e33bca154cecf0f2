"""Estimators of scikit-learn for each kind of task; what they predict as logits of the task."""

# N rows, C classes or labels

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from jlrun.tasks import Binary, Multiclass, Multilabel, Ordinal, Regression, TaskSpec
from jlrun.tasks.ordinal import ordinal_logits
from jlrun.tasks.target_scales import to_scale

_INVERSE_PENALTIES = (0.1, 1.0, 10.0, 100.0)  # C of logistic regression
_PENALTIES = (0.1, 1.0, 10.0, 100.0)  # α of ridge regression
_LEARNING_RATES = (0.03, 0.1)
_ITERATIONS = 100
_MOST_TREES = 1_000
_SOLVER_STEPS = 100
_MOST_TARGETS = 1_000  # classes or labels; tasks with more get the class frequencies alone
_LEAST = 1e-15  # probability

# Models but the constant one, the simplest first.
MODELS = ("linear_cells", "linear_text", "linear_all", "boosted_cells")

# features of some rows -> logits of the task, float64 (N, num_outputs)
Predict = Callable[[Any], Tensor]


@dataclass(frozen=True)
class Candidate:
    """A model with its settings.

    Attributes:
        model: name of the model, which is that of the features it takes, or `majority`, `mean`.
        settings: name -> value.
        make: () -> a fresh estimator for one target.
        plain: whether a regression target is learned as it is, and not on its scale.
    """

    model: str
    settings: Mapping[str, float | bool]
    make: Callable[[], Any]
    plain: bool = False


def supported(spec: TaskSpec) -> bool:
    """Return whether there are reference models for a task."""
    return isinstance(spec.task, Binary | Multiclass | Multilabel | Ordinal | Regression)


def num_targets(spec: TaskSpec) -> int:
    """Return C: the classes or labels that are distinguished, 1 for a number."""
    if isinstance(spec.task, Regression):
        return 1
    return 2 if isinstance(spec.task, Binary) else len(spec.classes)


def candidates(
    spec: TaskSpec, models: Collection[str], categories: Sequence[int]
) -> list[Candidate]:
    """Return the models with all settings to choose from, the simplest first.

    A regression target is learned on its scale, and in its own units too if they differ.

    Args:
        spec: the task.
        models: names of those that have features.
        categories: which cells are categories.
    """
    found = list(_constant(spec))
    for model in MODELS if num_targets(spec) <= _MOST_TARGETS else ():
        if model not in models:
            continue
        grid = _boosted(spec, categories) if model == "boosted_cells" else _linear(spec)
        found += [Candidate(model, settings, make) for settings, make in grid]
    if isinstance(spec.task, Regression) and spec.task.scale:
        found += [
            Candidate(c.model, {**c.settings, "own_units": True}, c.make, plain=True)
            for c in found
            if not c.plain
        ]
    return found


def _constant(spec: TaskSpec) -> Iterator[Candidate]:
    from sklearn.dummy import DummyClassifier, DummyRegressor

    if isinstance(spec.task, Regression):
        yield Candidate("mean", {}, DummyRegressor, plain=True)
    else:
        yield Candidate("majority", {}, lambda: DummyClassifier(strategy="prior"))


def _boosted(
    spec: TaskSpec, categories: Sequence[int]
) -> Iterator[tuple[dict[str, float], Callable[[], Any]]]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    number = isinstance(spec.task, Regression)
    kind = HistGradientBoostingRegressor if number else HistGradientBoostingClassifier
    options: dict[str, Any] = {
        "max_iter": max(10, min(_ITERATIONS, _MOST_TREES // num_targets(spec))),
        "categorical_features": list(categories) or None,
        "early_stopping": False,
        "random_state": 0,
    }
    for rate in _LEARNING_RATES:
        yield {"learning_rate": rate}, lambda rate=rate: kind(learning_rate=rate, **options)


def _linear(spec: TaskSpec) -> Iterator[tuple[dict[str, float], Callable[[], Any]]]:
    from sklearn.linear_model import LogisticRegression, Ridge

    if isinstance(spec.task, Regression):
        for alpha in _PENALTIES:
            yield {"alpha": alpha}, lambda alpha=alpha: Ridge(alpha=alpha)
        return
    for c in _INVERSE_PENALTIES:
        yield {"C": c}, lambda c=c: LogisticRegression(C=c, max_iter=_SOLVER_STEPS)


def fit(candidate: Candidate, spec: TaskSpec, features: Any, target: Tensor) -> Predict:
    """Fit a model to labelled rows.

    Classes are weighted as the task's loss weights them.

    Args:
        candidate: the model.
        spec: the task.
        features: of the rows.
        target: as the task's column, ``(N,)``, of labels ``(N, C)``.
    """
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        match spec.task:
            case Regression() as task:
                return _fit_number(candidate, task, features, target.double())
            case Multilabel():
                return _fit_labels(candidate, features, target.numpy())
            case task:
                weights = np.array(task.scale) if task.scale else None
                return _fit_classes(candidate, spec, features, target.numpy(), weights)


def _fit_number(candidate: Candidate, task: Regression, features: Any, y: Tensor) -> Predict:
    scale, (mean, std) = task.scale, task.units
    learned = y if candidate.plain else to_scale(y, scale)
    centre, spread = learned.mean(), learned.std(correction=0).clamp(min=1e-300)
    model = candidate.make().fit(features, ((learned - centre) / spread).numpy())

    def predict(x: Any) -> Tensor:
        values = torch.from_numpy(np.asarray(model.predict(x), dtype=float)) * spread + centre
        on_scale = to_scale(values, scale) if candidate.plain else values
        return ((on_scale - mean) / std)[:, None]

    return predict


def _fit_classes(
    candidate: Candidate, spec: TaskSpec, features: Any, y: np.ndarray, weights: np.ndarray | None
) -> Predict:
    probabilities = _classifier(candidate, features, y, num_targets(spec), weights)

    def predict(x: Any) -> Tensor:
        p = torch.from_numpy(probabilities(x))
        match spec.task:
            case Binary():
                return p[:, 1:].log() - p[:, :1].log()
            case Ordinal():
                return ordinal_logits(p)
            case _:
                return p.log()

    return predict


def _fit_labels(candidate: Candidate, features: Any, y: np.ndarray) -> Predict:
    each = [_classifier(candidate, features, column.astype(int), 2) for column in y.T]

    def predict(x: Any) -> Tensor:
        p = np.stack([probabilities(x) for probabilities in each], axis=1)
        return torch.from_numpy(np.log(p[:, :, 1]) - np.log(p[:, :, 0]))

    return predict


def _classifier(
    candidate: Candidate,
    features: Any,
    y: np.ndarray,
    count: int,
    weights: np.ndarray | None = None,
) -> Callable[[Any], np.ndarray]:
    """Return features -> probabilities ``(N, C)`` above 0; a class without a row has next to none.

    Where all rows are of one class, it is what is predicted.
    """
    of_rows = np.ones(len(y)) if weights is None else weights[y]
    features, y, of_rows = features[of_rows > 0], y[of_rows > 0], of_rows[of_rows > 0]
    known, model = np.unique(y), None
    if len(known) > 1:
        given = None if weights is None else of_rows
        model = candidate.make().fit(features, y, sample_weight=given)

    def probabilities(x: Any) -> np.ndarray:
        found = np.zeros((x.shape[0], count))
        found[:, known] = 1.0 if model is None else model.predict_proba(x)
        found = np.maximum(found, _LEAST)
        return found / found.sum(axis=1, keepdims=True)

    return probabilities
