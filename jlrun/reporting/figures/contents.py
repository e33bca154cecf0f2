"""Inputs of a model as people read them: pictures, real words, numbers with their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from textwrap import shorten

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.file_checks import at_base
from jlrun.data.reading.texts import text_of
from jlrun.data.rows import Rows
from jlrun.data.specs import ImageSpec, SeriesSpec, Spec, TabularSpec, TextSpec
from jlrun.data.streams import Stream
from jlrun.data.tables.cells import TextCells, texts_of
from jlrun.data.tables.table_rows import TableRows
from jlrun.reporting.figures.numbers import plain_number

ABSENT = "(missing)"


def shown_modalities(specs: Mapping[str, Spec]) -> Sequence[str]:
    """Return what a person would look at: images; else texts and cells, else the first modality."""
    images = [name for name, spec in specs.items() if isinstance(spec, ImageSpec)]
    texts = [name for name, spec in specs.items() if isinstance(spec, TextSpec)]
    cells = [name for name, spec in specs.items() if isinstance(spec, TabularSpec)]
    return images[:1] or (*texts, *cells) or [next(iter(specs))]


def shown_at(
    stream: Stream, positions: Tensor, specs: Mapping[str, Spec], length: int
) -> list[Tensor | str]:
    """Return what a person would look at of the rows at ``positions`` ``(M,)``.

    Args:
        stream: of the rows.
        positions: of the rows in it.
        specs: modality -> spec of the model.
        length: of texts; several share it, and what is longer is cut.
    """
    shown = shown_modalities(specs)
    columns = [contents_at(stream, positions, name, specs[name]) for name in shown]
    if len(columns) == 1:
        return columns[0]
    each = [[str(cell) for cell in column] for column in columns]
    share = length // len(each)
    return [
        "\n".join(shorten(cell, share, placeholder=" …") for cell in row)
        for row in zip(*each, strict=True)
    ]


def contents_at(stream: Stream, positions: Tensor, modality: str, spec: Spec) -> list[Tensor | str]:
    """Return one modality of the rows at ``positions`` ``(M,)``; these are read once more.

    Texts of tables are those of the file. Others consist of tokens: those that the vocabulary lacks
    are ``?``.
    """
    rows = stream.take(positions)
    written = _written_texts(rows.rows, modality)
    found: list[Tensor | str] = []
    for batch in rows.sweep():
        found += [_content(batch, row, modality, spec) for row in range(batch.size)]
    if written is None:
        return found
    return [text or ABSENT for text in written]


def _content(batch: Batch, row: int, modality: str, spec: Spec) -> Tensor | str:
    present = batch.present.get(modality)
    if present is not None and not bool(present[row]):
        return ABSENT
    return content_of(batch.inputs[modality][row].cpu(), spec)


def _written_texts(rows: Rows, modality: str) -> Sequence[str] | None:
    """Return the texts of the cells of a table; None of other rows, or other modalities."""
    base, indices = at_base(rows)
    if not isinstance(base, TableRows):
        return None
    cells = base.cells.get(modality)
    if not isinstance(cells, TextCells):
        return None
    return texts_of(base.store, cells.columns, base.rows[indices.numpy()])


def content_of(x: Tensor, spec: Spec) -> Tensor | str:
    """Return one input of a model: an image in [0, 1], a text, the cells of a row, or what it is.

    Series are in the units of their data.
    """
    match spec:
        case ImageSpec(mean=mean, std=std):
            shape = (-1, 1, 1)
            return (x * torch.tensor(std).view(shape) + torch.tensor(mean).view(shape)).clamp(0, 1)
        case TextSpec():
            return text_of(x, spec)
        case TabularSpec():
            return _cells(x, spec)
        case SeriesSpec(mean=mean, std=std):
            return x * torch.tensor(std) + torch.tensor(mean)
    return x


def _cells(x: Tensor, spec: TabularSpec) -> str:
    """Return the cells of a row that are not missing, as ``name: value; …``."""
    columns = zip(spec.numbers, x.tolist(), spec.mean, spec.std, strict=False)
    known = [
        f"{name}: {plain_number(v * std + mean)}" for name, v, mean, std in columns if not isnan(v)
    ]
    levels = x[len(spec.numbers) :].long().tolist()
    for name, names, level in zip(spec.categories, spec.levels, levels, strict=True):
        known += [f"{name}: {names[level - 1]}"] if level else []
    return "; ".join(known) or "nothing"
