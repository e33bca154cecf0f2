"""Fitting of a table's inputs on its training rows: settings, vocabularies, levels and means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.moments import Moments, moments
from jlrun.data.reading.document_frequencies import MOST_TEXTS
from jlrun.data.reading.texts import fit_text_spec
from jlrun.data.specs import (
    AudioSpec,
    DateColumn,
    ImageSpec,
    SeriesSpec,
    Spec,
    TabularSpec,
    TextSpec,
)
from jlrun.data.tables.cells import Cells, FileCells, TabularCells, cells_of, texts_of
from jlrun.data.tables.date_parts import learn_dates, part_names, parts_of
from jlrun.data.tables.files.inputs import (
    AudioSettings,
    CategorySettings,
    ColumnsOf,
    ImageSettings,
    SeriesSettings,
    TextSettings,
)
from jlrun.data.tables.files.kinds import Target
from jlrun.data.tables.files.store import Store
from jlrun.data.tables.report import TableReport, find_leaks, unknown_levels
from jlrun.data.tables.table_rows import TableRows
from jlrun.errors import UserError
from jlrun.tasks.target_scales import ScaleName, scale_of, to_scale


@dataclass(frozen=True)
class InputKinds:
    """Settings of each kind of input."""

    text: TextSettings
    category: CategorySettings
    image: ImageSettings
    audio: AudioSettings
    series: SeriesSettings

    def spec_of(self, columns: ColumnsOf) -> Spec:
        """Return the spec of a modality, without what depends on training rows.

        Settings that are measured on files must be complete.
        """
        match columns.kind:
            case "image":
                return self._image()
            case "audio":
                return self._audio()
            case "series":
                return self._series()
            case "text":
                return TextSpec((), 1)
            case _:
                dates = tuple(DateColumn(column, 0.0, ("days",)) for column in columns.dates)
                numbers = (*columns.columns, *(name for d in dates for name in part_names(d)))
                zeros, ones = (0.0,) * len(numbers), (1.0,) * len(numbers)
                levels = ((),) * len(columns.categories)
                return TabularSpec(numbers, zeros, ones, columns.categories, levels, dates=dates)

    def _image(self) -> ImageSpec:
        image = self.image
        assert image.size is not None
        assert image.channels is not None
        size = image.size
        return ImageSpec(image.channels, size, size, (), (), image.resize, image.background)

    def _audio(self) -> AudioSpec:
        rate, seconds = self.audio.rate, self.audio.seconds
        assert rate is not None
        assert seconds is not None
        return AudioSpec(max(1, round(seconds * rate)), rate)

    def _series(self) -> SeriesSpec:
        length, channels = self.series.length, self.series.channels
        assert length is not None
        assert channels is not None
        return SeriesSpec(length, channels, (0.0,) * channels, (1.0,) * channels)


_ROWS_AT_ONCE = 10_000
_SERIES_ROWS = 2_000
_QUANTILE_ROWS = 100_000
_MOST_BINS = 32
_ROWS_OF_A_BIN = 20


@dataclass(frozen=True)
class _Texts:
    """Texts of the rows that have one, read from disk each time they are iterated."""

    store: Store
    columns: Sequence[str]
    rows: np.ndarray

    def __iter__(self) -> Iterator[str]:
        for some in _parts(self.rows):
            yield from filter(None, texts_of(self.store, self.columns, some))


def learn_text(
    store: Store, columns: Sequence[str], rows: np.ndarray, settings: TextSettings
) -> TextSpec:
    """Return the vocabulary of the training rows that have a text."""
    return fit_text_spec(
        _Texts(store, columns, rows),
        tokenizer=settings.tokenizer,
        max_length=settings.max_length,
        max_size=settings.max_size,
        min_count=settings.min_count,
        every=max(1, -(-len(rows) // MOST_TEXTS)),
    )


def learn_tabular(
    store: Store, columns: ColumnsOf, rows: np.ndarray, settings: CategorySettings
) -> TabularSpec:
    """Return means, standard deviations, quantiles and levels of the training rows."""
    dates = tuple(_learn_dates(store, column, rows) for column in columns.dates)
    parts = [_part_moments(store, date, rows) for date in dates]
    found = [column_moments(store, column, rows) for column in columns.columns]
    found += [each for some in parts for each in some]
    some = _some_rows(rows)
    edges = [_quantiles(store.numbers(column)[some]) for column in columns.columns]
    for date in dates:
        edges += map(_quantiles, parts_of(date, store.numbers(date.column)[some]).T)
    return TabularSpec(
        numbers=(*columns.columns, *(name for date in dates for name in part_names(date))),
        mean=tuple(each.mean for each in found),
        std=tuple(each.std for each in found),
        categories=columns.categories,
        levels=tuple(_levels(store, column, rows, settings) for column in columns.categories),
        edges=tuple(edges),
        dates=dates,
    )


def _learn_dates(store: Store, column: str, rows: np.ndarray) -> DateColumn:
    seconds = store.numbers(column)
    return learn_dates(column, (seconds[some] for some in _parts(rows)))


def _part_moments(store: Store, date: DateColumn, rows: np.ndarray) -> list[Moments]:
    seconds = store.numbers(date.column)
    return [
        moments(parts_of(replace(date, parts=(part,)), seconds[some]) for some in _parts(rows))
        for part in date.parts
    ]


def _some_rows(rows: np.ndarray) -> np.ndarray:
    """Return at most 100,000 rows."""
    count = min(len(rows), _QUANTILE_ROWS)
    return rows[np.linspace(0, len(rows) - 1, count).round().astype(int)]


def _quantiles(numbers: np.ndarray) -> tuple[float, ...]:
    """Return quantiles of numbers that a model can tell apart; none of a constant."""
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return ()
    bins = min(_MOST_BINS, max(1, len(known) // _ROWS_OF_A_BIN))
    found = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)))
    # Quantiles are rounded, and a model computes with float32 centred numbers.
    steps = 4 * np.spacing(np.abs(found - known.mean()).astype(np.float32))
    found = found[np.append(True, np.diff(found) > steps[1:])]
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


@dataclass(frozen=True)
class Fitting:
    """Fits the specs of a table's inputs once its training rows are chosen.

    Attributes:
        modalities: modality -> its columns.
        kinds: how they are read.
        folder: file names are relative to it.
        targets: task -> its column and kind.
        known: modality -> spec of a trained model, kept as it is.
        target_transform: scale on which numbers are learned.
    """

    modalities: Mapping[str, ColumnsOf]
    kinds: InputKinds
    folder: Path
    targets: Mapping[str, Target]
    known: Mapping[str, Spec] = field(default_factory=dict)
    target_transform: ScaleName = "none"

    def unfitted(self) -> dict[str, Spec]:
        """Return modality -> spec, without what depends on training rows."""
        return {modality: self.kinds.spec_of(c) for modality, c in self.modalities.items()}

    def of(self, dataset: Dataset) -> Dataset:
        """Return the data set with its ``fit`` and ``adopt``."""
        return replace(
            dataset,
            fit=lambda indices: self._fit(dataset, indices),
            adopt=lambda known: replace(self, known=known).of(dataset),
        )

    def _fit(self, dataset: Dataset, indices: Tensor) -> Dataset:
        rows, report = dataset.train, dataset.report
        assert isinstance(rows, TableRows)
        assert isinstance(report, TableReport)
        training = rows.rows[indices.numpy()]
        specs = {m: self._learned(m, columns, rows, training) for m, columns in self._all()}
        cells = {m: cells_of(c, specs[m], self.folder) for m, c in self._all()}
        numbers = {task: t.column for task, t in self.targets.items() if t.kind == "regression"}
        found = {t: self._units(rows, c, training) for t, c in numbers.items()}
        units = {task: values for task, (values, _) in found.items()}
        lost = [numbers[task] for task, (_, lost) in found.items() if lost]
        for spec in specs.values():
            if isinstance(spec, TabularSpec):
                found = {
                    c: column_moments(rows.store, c, training)
                    for c in spec.plain_numbers
                    if c in rows.store
                }
                lost += [column for column, scale in found.items() if scale.lost]
        parts = {"train": rows.reading(cells)}
        parts |= {
            split: _reading(given, cells)
            for split, given in (("val", dataset.val), ("test", dataset.test))
            if given is not None
        }
        return replace(
            dataset,
            train=parts["train"],
            val=parts.get("val"),
            test=parts.get("test"),
            modalities=specs,
            units=units,
            fit=None,
            adopt=None,
            report=replace(
                report,
                leaks=find_leaks(self.modalities, self.targets, rows.store, training),
                coarse=tuple(lost),
                scaled={numbers[task]: values[2:] for task, values in units.items()},
                unknown={
                    split: unknown_levels(specs.values(), part.store, part.rows)
                    for split, part in parts.items()
                    if split != "train"
                    or self.known  # rare levels of the training rows are left out
                },
            ),
        )

    def _units(
        self, rows: TableRows, column: str, training: np.ndarray
    ) -> tuple[tuple[float, ...], bool]:
        """Return a target's mean, standard deviation and scale, and whether float64 loses it."""
        plain = column_moments(rows.store, column, training)
        values = torch.from_numpy(rows.store.numbers(column)[training])
        values = values[values.isfinite()]
        scale = scale_of(values, self.target_transform)
        if not scale:
            return (plain.mean, plain.std), plain.lost
        on_scale = moments([to_scale(values, scale).numpy()])
        return (on_scale.mean, on_scale.std, *scale), plain.lost

    def _all(self) -> list[tuple[str, ColumnsOf]]:
        return list(self.modalities.items())

    def _learned(
        self, modality: str, columns: ColumnsOf, rows: TableRows, training: np.ndarray
    ) -> Spec:
        known, store = self.known.get(modality), rows.store
        match self.kinds.spec_of(columns):
            case TextSpec():
                if isinstance(known, TextSpec):
                    return known
                return learn_text(store, columns.columns, training, self.kinds.text)
            case TabularSpec() as own:
                if isinstance(known, TabularSpec):
                    self._refuse_targets(known)
                    return _shared(modality, own, known)
                return learn_tabular(store, columns, training, self.kinds.category)
            case SeriesSpec() as own:
                if isinstance(known, SeriesSpec):
                    return known
                cells = cells_of(columns, own, self.folder)
                assert isinstance(cells, FileCells)
                return learn_series(cells, store, training, own)
            case spec:
                return spec

    def _refuse_targets(self, known: TabularSpec) -> None:
        """Refuse a spec by which a model would read what it is to predict."""
        inputs = TabularCells(known).columns
        for task, target in self.targets.items():
            if target.column in inputs:
                raise UserError.of(
                    f"dataset.targets.{task}",
                    f"column '{target.column}' is an input of the source, or of a data set before "
                    "this one, whose inputs are taken over: the model would read its own label. "
                    f"Leave it out there: columns={{{target.column}: ignore}}",
                )


def _shared(modality: str, own: TabularSpec, known: TabularSpec) -> TabularSpec:
    """Return the known spec, if the table has any of its columns.

    Known columns that the table lacks are missing in every row; its other columns are left out.
    """
    ours, theirs = set(TabularCells(own).columns), TabularCells(known).columns
    if ours.isdisjoint(theirs):
        theirs = ", ".join(theirs)
        raise UserError.of(
            modality, f"no column has the name and kind of one that was learned from: {theirs}"
        )
    return known


def _reading(rows: object, cells: Mapping[str, Cells]) -> TableRows:
    assert isinstance(rows, TableRows)
    return rows.reading(cells)
