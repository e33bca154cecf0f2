"""Logits of reference models are the predictions of scikit-learn, for every kind of task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge

from jlrun.evaluation.references.estimators import Candidate, candidates, fit
from jlrun.evaluation.scores import Prediction
from jlrun.tasks import Binary, Multiclass, Multilabel, Ordinal, Regression, Task, TaskSpec
from jlrun.tasks.target_scales import scale_of

GENERATOR = np.random.default_rng(0)
X, NEW = GENERATOR.normal(size=(60, 3)), GENERATOR.normal(size=(9, 3))
SCORE = X[:, 0] + 0.3 * GENERATOR.normal(size=60)
GRADES = np.digitize(SCORE, [-0.5, 0.5])
NAMES = ("low", "middle", "high")


def chosen(spec: TaskSpec, model: str, **settings: float | bool) -> Candidate:
    """Return the candidate of a model with these settings."""
    (found,) = (
        candidate
        for candidate in candidates(spec, {"linear_cells", "boosted_cells"}, ())
        if candidate.model == model and candidate.settings == settings
    )
    return found


def predicted(
    task: Task, classes: tuple[str, ...], candidate: Candidate, y: np.ndarray
) -> np.ndarray:
    spec = TaskSpec("t", task, classes)
    logits = fit(candidate, spec, X, torch.from_numpy(y))(NEW)
    assert logits.shape == (len(NEW), spec.num_outputs)
    return Prediction.of(task, logits).probabilities.numpy()


@pytest.mark.parametrize(
    ("task", "classes", "y"),
    [
        (Multiclass(), NAMES, GRADES),
        (Ordinal(), NAMES, GRADES),
        (Binary(), ("no", "yes"), GRADES // 2),
    ],
    ids=["multiclass", "ordinal", "binary"],
)
def test_probabilities_of_classes(task: Task, classes: tuple[str, ...], y: np.ndarray) -> None:
    spec = TaskSpec("t", task, classes)
    found = predicted(task, classes, chosen(spec, "linear_cells", C=10.0), y)
    model = LogisticRegression(C=10.0, max_iter=100).fit(X, y)
    assert found == pytest.approx(model.predict_proba(NEW), abs=1e-9)
    found = predicted(task, classes, chosen(spec, "boosted_cells", learning_rate=0.1), y)
    model = HistGradientBoostingClassifier(early_stopping=False, random_state=0).fit(X, y)
    assert found == pytest.approx(model.predict_proba(NEW), abs=1e-9)
    found = predicted(task, classes, chosen(spec, "majority"), y)
    assert found == pytest.approx(np.tile(np.bincount(y) / 60, (9, 1)), abs=1e-9)


def test_probabilities_of_labels_one_of_which_no_row_has() -> None:
    y = np.stack([GRADES > 0, GRADES > 1, GRADES > 2], axis=1).astype(np.float32)
    spec = TaskSpec("t", Multilabel(), NAMES)
    found = predicted(spec.task, NAMES, chosen(spec, "linear_cells", C=1.0), y)
    for column in (0, 1):
        model = LogisticRegression(max_iter=100).fit(X, y[:, column])
        assert found[:, column] == pytest.approx(model.predict_proba(NEW)[:, 1], abs=1e-9)
    assert found[:, 2] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("plain", [False, True], ids=["on_its_scale", "in_its_units"])
def test_numbers_are_in_the_units_of_the_column(plain: bool) -> None:
    y = 1e6 * np.exp(2 * SCORE)
    scale = scale_of(torch.from_numpy(y), "log")
    task = Regression().in_units(0.7, 1.3, *scale)
    spec = TaskSpec("price", task, ())
    settings = {"alpha": 10.0, **({"own_units": True} if plain else {})}
    found = predicted(task, (), chosen(spec, "linear_cells", **settings), y)[:, 0]
    learned = y if plain else np.log1p(y / scale[0])
    expected = Ridge(alpha=10.0).fit(X, learned).predict(NEW)
    expected = expected if plain else scale[0] * np.expm1(expected)
    assert found == pytest.approx(expected, rel=1e-6)
    mean = predicted(task, (), chosen(spec, "mean"), y)[:, 0]
    assert mean == pytest.approx(np.full(9, y.mean()), rel=1e-6)


def test_classes_are_weighted_as_in_the_loss() -> None:
    weights = (1.0, 5.0, 0.0)  # rows of the last class are left out
    task = Multiclass().in_units(0.0, 1.0, *weights)
    spec = TaskSpec("t", task, NAMES)
    found = predicted(task, NAMES, chosen(spec, "linear_cells", C=1.0), GRADES)
    kept = GRADES < 2
    of_rows = np.array(weights)[GRADES[kept]]
    model = LogisticRegression(max_iter=100).fit(X[kept], GRADES[kept], sample_weight=of_rows)
    assert found[:, :2] == pytest.approx(model.predict_proba(NEW), abs=1e-9)


def test_where_all_rows_have_one_class_it_is_predicted() -> None:
    spec = TaskSpec("t", Multiclass(), NAMES)
    for candidate in candidates(spec, {"linear_cells", "boosted_cells"}, ()):
        found = predicted(spec.task, NAMES, candidate, np.ones_like(GRADES))
        assert found[:, 1] == pytest.approx(1)


def test_thousands_of_classes_have_their_frequencies_alone() -> None:
    spec = TaskSpec("t", Multiclass(), tuple(map(str, range(1001))))
    assert [c.model for c in candidates(spec, {"linear_cells"}, ())] == ["majority"]
    few = replace(spec, classes=spec.classes[:1000])
    assert len(candidates(few, {"linear_cells"}, ())) == 5
