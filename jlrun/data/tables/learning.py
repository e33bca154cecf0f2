"""Vocabularies, levels and means of a table, learned from its training rows alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from jlrun.data.moments import Moments, moments
from jlrun.data.reading.texts import fit_text_spec
from jlrun.data.specs import SeriesSpec, TabularSpec, TextSpec
from jlrun.data.tables.cells import FileCells, texts_of
from jlrun.data.tables.files.inputs import ColumnsOf
from jlrun.data.tables.files.settings import CategorySettings, TextSettings
from jlrun.data.tables.files.store import Store

_ROWS_AT_ONCE = 10_000
_SERIES_ROWS = 2_000
_QUANTILE_ROWS = 100_000
_MOST_BINS = 32
_ROWS_OF_A_BIN = 20


def learn_text(
    store: Store, columns: Sequence[str], rows: np.ndarray, settings: TextSettings
) -> TextSpec:
    """Return the vocabulary of the training rows that have a text."""
    texts = (text for some in _parts(rows) for text in texts_of(store, columns, some) if text)
    return fit_text_spec(
        texts,
        tokenizer=settings.tokenizer,
        max_length=settings.max_length,
        max_size=settings.max_size,
        min_count=settings.min_count,
    )


def learn_tabular(
    store: Store, columns: ColumnsOf, rows: np.ndarray, settings: CategorySettings
) -> TabularSpec:
    """Return means, standard deviations, quantiles and levels of the training rows."""
    found = [column_moments(store, column, rows) for column in columns.columns]
    return TabularSpec(
        numbers=columns.columns,
        mean=tuple(each.mean for each in found),
        std=tuple(each.std for each in found),
        categories=columns.categories,
        levels=tuple(_levels(store, column, rows, settings) for column in columns.categories),
        edges=tuple(_quantiles(store, column, rows) for column in columns.columns),
    )


def _quantiles(store: Store, column: str, rows: np.ndarray) -> tuple[float, ...]:
    """Return distinct quantiles of a column, of at most 100,000 rows; none of a constant."""
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), _QUANTILE_ROWS)).round().astype(int)
    numbers = store.numbers(column)[rows[chosen]]
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return ()
    bins = min(_MOST_BINS, max(1, len(known) // _ROWS_OF_A_BIN))
    found = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)))
    return tuple(found.tolist()) if len(found) > 1 else ()


def column_moments(store: Store, column: str, rows: np.ndarray) -> Moments:
    """Return mean and standard deviation of a column of numbers over ``rows``."""
    numbers = store.numbers(column)
    return moments(numbers[some] for some in _parts(rows))


def _levels(
    store: Store, column: str, rows: np.ndarray, settings: CategorySettings
) -> tuple[str, ...]:
    names = store.levels(column)
    codes = store.codes(column)[rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(names)).tolist()
    kept = [name for name, count in zip(names, counts, strict=True) if count >= settings.min_count]
    count_of = dict(zip(names, counts, strict=True))
    kept.sort(key=lambda name: (-count_of[name], name))
    return tuple(kept[: settings.max_levels])


def learn_series(cells: FileCells, store: Store, rows: np.ndarray, spec: SeriesSpec) -> SeriesSpec:
    """Return ``spec`` with means and standard deviations of at most 2,000 training rows."""
    filled = rows[store.filled(cells.column)[rows]]
    chosen = np.linspace(0, len(filled) - 1, min(len(filled), _SERIES_ROWS)).round().astype(int)
    if not len(filled):
        return spec
    values = cells.read(store, filled[chosen]).numpy().reshape(-1, spec.channels)
    found = [moments([channel]) for channel in values.T]
    mean, std = tuple(each.mean for each in found), tuple(each.std for each in found)
    return SeriesSpec(spec.length, spec.channels, mean, std)


def _parts(rows: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield rows[start : start + _ROWS_AT_ONCE]
