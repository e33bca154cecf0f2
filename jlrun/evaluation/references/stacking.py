"""Boosted trees on the cells and on what a linear model of the texts predicts of held-out rows."""

# N rows, W cells of a row, V tokens and pairs of tokens

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from jlrun.evaluation.references.estimators import Candidate, Predict, candidates, fit, num_targets
from jlrun.tasks import TaskSpec

STACKED = "boosted_all"
_FOLDS = 5
_LEAST_ROWS, _MOST_ROWS = 20, 20_000
_MOST_TARGETS = 20  # classes or labels, each of which is a further cell


@dataclass(frozen=True)
class CellsAndTexts:
    """What stacked models take of some rows.

    Attributes:
        cells: ``(N, W)``.
        texts: sparse ``(N, V)``.
    """

    cells: np.ndarray
    texts: Any

    def __getitem__(self, rows: np.ndarray) -> CellsAndTexts:
        return CellsAndTexts(self.cells[rows], self.texts[rows])

    def with_texts_as(self, logits: Tensor) -> np.ndarray:
        """Return cells, and what is predicted from the texts, ``(N, W + outputs)``."""
        return np.hstack([self.cells, logits.numpy()])


def stackable(spec: TaskSpec, num_rows: int) -> bool:
    """Return whether a task of so many labelled training rows has stacked models."""
    return _LEAST_ROWS <= num_rows <= _MOST_ROWS and num_targets(spec) <= _MOST_TARGETS


def stacked(
    spec: TaskSpec,
    text_model: Candidate,
    categories: Sequence[int],
    features: CellsAndTexts,
    target: Tensor,
) -> Iterator[tuple[Candidate, Predict]]:
    """Fit boosted trees with each setting to cells and predictions of the texts.

    Those of a training row come from a linear model that did not learn from it: five are fitted,
    each without a fifth of the rows. Of other rows they come from one that learned from all.

    Args:
        spec: the task.
        text_model: the linear model, with its settings.
        categories: which cells are categories.
        features: of the labelled training rows.
        target: of these rows.
    """
    held_out = _held_out(spec, text_model, features.texts, target)
    of_texts = fit(text_model, spec, features.texts, target)
    for boosted in candidates(spec, {"boosted_cells"}, categories):
        if boosted.model != "boosted_cells":
            continue
        trees = fit(boosted, spec, features.with_texts_as(held_out), target)
        named = Candidate(
            STACKED, {**text_model.settings, **boosted.settings}, boosted.make, boosted.plain
        )
        yield named, _of_both(of_texts, trees)


def _of_both(of_texts: Predict, trees: Predict) -> Predict:
    return lambda x: trees(x.with_texts_as(of_texts(x.texts)))


def _held_out(spec: TaskSpec, model: Candidate, texts: Any, target: Tensor) -> Tensor:
    """Return logits of each row by a model that did not learn from it, ``(N, outputs)``."""
    from sklearn.model_selection import KFold

    found = torch.empty(len(target), spec.num_outputs, dtype=torch.float64)
    for others, rows in KFold(_FOLDS, shuffle=True, random_state=0).split(target):
        predict = fit(model, spec, texts[others], target[torch.from_numpy(others)])
        found[torch.from_numpy(rows)] = predict(texts[rows])
    return found
