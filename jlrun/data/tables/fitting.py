"""Fitting of a table's inputs on its training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.moments import moments
from jlrun.data.specs import SeriesSpec, Spec, TabularSpec, TextSpec
from jlrun.data.tables.cells import Cells, FileCells, cells_of
from jlrun.data.tables.column_warnings import find_leaks, unknown_levels
from jlrun.data.tables.files.inputs import ColumnsOf
from jlrun.data.tables.files.target_kinds import Target
from jlrun.data.tables.input_kinds import InputKinds
from jlrun.data.tables.learning import column_moments, learn_series, learn_tabular, learn_text
from jlrun.data.tables.report import TableReport
from jlrun.data.tables.rows import TableRows
from jlrun.errors import UserError
from jlrun.tasks.target_scales import ScaleName, scale_of, to_scale


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
                    for c in spec.numbers
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


def _shared(modality: str, own: TabularSpec, known: TabularSpec) -> TabularSpec:
    """Return the known spec, if the table has any of its columns.

    Known columns that the table lacks are missing in every row; its other columns are left out.
    """
    numbers = set(own.numbers) & set(known.numbers)
    if not numbers and not set(own.categories) & set(known.categories):
        theirs = ", ".join((*known.numbers, *known.categories))
        raise UserError.of(
            modality, f"no column has the name and kind of one that was learned from: {theirs}"
        )
    return known


def _reading(rows: object, cells: Mapping[str, Cells]) -> TableRows:
    assert isinstance(rows, TableRows)
    return rows.reading(cells)
