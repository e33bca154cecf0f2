"""Features of reference models, fitted on their training rows."""

# N rows, V tokens and pairs of tokens

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from jlrun.data.reading.texts import tokens_of
from jlrun.evaluation.references.inputs import TableInputs
from jlrun.evaluation.references.stacking import STACKED, CellsAndTexts

# Levels that boosted trees tell apart; the rest of a column, its rarest levels, are one.
_MOST_LEVELS = 255
_FARTHEST = 1e6  # standard deviations, so that no number of a new row is infinite
_ROWS_AT_ONCE = 10_000

# model -> features of some rows, dense, sparse or both
Features = dict[str, Any]


@dataclass(frozen=True)
class Featurizer:
    """Maps rows of a table to what reference models take.

    Attributes:
        vectorize: texts -> their TF-IDF weights, sparse ``(N, V)``; None: there are no texts.
    """

    vectorize: Callable[[Iterable[str]], Any] | None

    @classmethod
    def fit(cls, inputs: TableInputs, rows: np.ndarray, max_features: int) -> Featurizer:
        """Return the featurizer of the training rows at ``rows``.

        Args:
            inputs: of the training split.
            rows: which of them are used.
            max_features: largest number of tokens and pairs, the most frequent ones.
        """
        if not inputs.text_columns:
            return cls(None)
        return cls(_tfidf(lambda: _each_text(inputs, rows), max_features))

    def __call__(self, inputs: TableInputs, rows: np.ndarray) -> Features:
        """Return the features of the rows at ``rows``."""
        from scipy.sparse import hstack

        found: Features = {}
        if inputs.tabular is not None:
            cells = inputs.cells(rows)
            found["boosted_cells"] = _for_trees(cells, inputs.num_numbers)
            found["linear_cells"] = _for_linear(cells, inputs)
        if self.vectorize is not None:
            found["linear_text"] = self.vectorize(_each_text(inputs, rows))
        if "linear_cells" in found and "linear_text" in found:
            # Texts have norm 1; the cells of a row get a mean square of about 1 too, so that one
            # penalty suits both.
            share = max(1, inputs.num_cells) ** -0.5
            parts = [found["linear_text"], share * found["linear_cells"]]
            found["linear_all"] = hstack(parts, format="csr")
            found[STACKED] = CellsAndTexts(found["boosted_cells"], found["linear_text"])
        return found


def categories_of(inputs: TableInputs) -> list[int]:
    """Return which cells are categories."""
    return list(range(inputs.num_numbers, inputs.num_cells))


def _each_text(inputs: TableInputs, rows: np.ndarray) -> Iterator[str]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield from inputs.texts(rows[start : start + _ROWS_AT_ONCE])


def _tfidf(
    texts: Callable[[], Iterable[str]], max_features: int
) -> Callable[[Iterable[str]], Any] | None:
    """Return what maps texts to the weights (1 + ln tf) · idf of tokens and pairs, of norm 1.

    Those of one training text alone are left out, unless there are no others. None: no text has a
    token.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    options: dict[str, Any] = {
        "tokenizer": tokens_of,
        "token_pattern": None,
        "lowercase": False,
        "ngram_range": (1, 2),
        "max_features": max_features,
        "sublinear_tf": True,
    }
    for min_df in (2, 1):
        vectorizer = TfidfVectorizer(min_df=min_df, **options)
        try:
            vectorizer.fit(texts())
        except ValueError:  # no token is left
            continue
        return vectorizer.transform
    return None


def _for_trees(cells: np.ndarray, num_numbers: int) -> np.ndarray:
    """Return cells ``(N, W)`` with at most 255 levels of a category, NaN where missing."""
    found = cells.copy()
    found[:, num_numbers:] = np.minimum(found[:, num_numbers:], _MOST_LEVELS - 1)
    return found


def _for_linear(cells: np.ndarray, inputs: TableInputs) -> Any:
    """Return standardised numbers, 0 where missing, which numbers are, and categories one-hot."""
    from scipy.sparse import csr_matrix, hstack

    assert inputs.tabular is not None
    spec, split = inputs.tabular.spec, inputs.num_numbers
    numbers = (cells[:, :split] - np.array(spec.mean)) / np.array(spec.std)
    lacking = np.isnan(numbers)
    bounded = np.clip(np.where(lacking, 0.0, numbers), -_FARTHEST, _FARTHEST)
    parts = [csr_matrix(bounded), csr_matrix(lacking.astype(float))]
    for column, count in zip(cells[:, split:].T, inputs.num_levels, strict=True):
        rows = np.flatnonzero(~np.isnan(column))
        at = (rows, column[rows].astype(int))
        parts.append(csr_matrix((np.ones(len(rows)), at), shape=(len(cells), count)))
    return hstack(parts, format="csr")
