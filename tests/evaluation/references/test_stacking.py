"""Stacked reference models: what trees are given of the texts, held out by folds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict

from jlrun.evaluation.references.estimators import Candidate, candidates
from jlrun.evaluation.references.stacking import CellsAndTexts, stackable, stacked
from jlrun.evaluation.scores import Prediction
from jlrun.tasks import Binary, Multiclass, Regression, TaskSpec

ROWS = 120
GENERATOR = np.random.default_rng(0)
CELLS, TEXTS = GENERATOR.normal(size=(ROWS + 9, 2)), GENERATOR.normal(size=(ROWS + 9, 5))
BOTH = CellsAndTexts(CELLS, csr_matrix(TEXTS))
LEARNED, NEW = BOTH[np.arange(ROWS)], BOTH[np.arange(ROWS, ROWS + 9)]
YES = CELLS[:ROWS, 0] + TEXTS[:ROWS, 0] > 0
BINARY = TaskSpec("t", Binary(), ("no", "yes"))


def text_model(spec: TaskSpec, **settings: float) -> Candidate:
    found = candidates(spec, {"linear_text"}, ())
    return next(c for c in found if c.model == "linear_text" and c.settings == settings)


def log_odds(p: np.ndarray) -> np.ndarray:
    return np.log(p[:, 1:]) - np.log(p[:, :1])


def test_trees_learn_from_predictions_of_held_out_rows_as_of_scikit_learn() -> None:
    target = torch.from_numpy(YES.astype(int))
    found = list(stacked(BINARY, text_model(BINARY, C=1.0), (), LEARNED, target))
    assert [c.settings["learning_rate"] for c, _ in found] == [0.03, 0.1]
    linear, folds = LogisticRegression(), KFold(5, shuffle=True, random_state=0)
    texts = TEXTS[:ROWS]
    held_out = np.asarray(cross_val_predict(linear, texts, YES, cv=folds, method="predict_proba"))
    trees = HistGradientBoostingClassifier(early_stopping=False, random_state=0)
    trees.fit(np.hstack([CELLS[:ROWS], log_odds(held_out)]), YES)
    of_new = log_odds(linear.fit(texts, YES).predict_proba(TEXTS[ROWS:]))
    expected = trees.predict_proba(np.hstack([CELLS[ROWS:], of_new]))
    probabilities = Prediction.of(BINARY.task, found[1][1](NEW)).probabilities.numpy()
    assert probabilities == pytest.approx(expected, abs=1e-3)


def test_texts_that_tell_nothing_are_not_learned_by_heart() -> None:
    """Of 120 texts in 300 features a linear model knows each label: its own predictions leak."""
    texts = csr_matrix(GENERATOR.normal(size=(ROWS, 300)))
    target = torch.from_numpy(GENERATOR.integers(0, 2, ROWS))
    none = CellsAndTexts(np.zeros((ROWS, 1)), texts)
    new = CellsAndTexts(np.zeros((ROWS, 1)), csr_matrix(GENERATOR.normal(size=(ROWS, 300))))
    (_, predict), _ = stacked(BINARY, text_model(BINARY, C=100.0), (), none, target)
    # Trees on leaked predictions would be sure of rows that they know nothing of.
    assert float(predict(new).abs().median()) < 1.5


@pytest.mark.parametrize(
    "spec", [TaskSpec("n", Regression(), ()), TaskSpec("c", Multiclass(), tuple("abc"))]
)
def test_numbers_and_a_class_of_one_row(spec: TaskSpec) -> None:
    y = torch.from_numpy(CELLS[:ROWS, 0]) if not spec.classes else torch.arange(ROWS) % 2
    if spec.classes:
        y[7] = 2  # a class that one fold learns nothing of
    settings = {"C": 1.0} if spec.classes else {"alpha": 1.0}
    for _, predict in stacked(spec, text_model(spec, **settings), (), LEARNED, y):
        logits = predict(NEW)
        assert logits.shape == (9, spec.num_outputs)
        assert logits.isfinite().all()


def test_neither_of_few_rows_nor_of_many_classes() -> None:
    assert [stackable(BINARY, rows) for rows in (19, 20, 20_000, 20_001)] == [0, 1, 1, 0]
    many = TaskSpec("c", Multiclass(), tuple(map(str, range(21))))
    assert not stackable(many, 100)
