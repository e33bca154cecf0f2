"""Load a table as a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from jlrun.data.dataset import Dataset
from jlrun.data.table.account import TableAccount
from jlrun.data.table.files import checks
from jlrun.data.table.fitting import Fitting, InputSettings
from jlrun.data.table.parts import Part, divided, groups_of
from jlrun.data.table.rows import TableRows
from jlrun.data.table.targets import FORM_OF_TARGET, find_classes, read_targets
from jlrun.errors import Problem, UserError
from jlrun.tables.conversion import CheckFile, Wanted, cache_folder, stored
from jlrun.tables.inputs import ColumnsOf
from jlrun.tables.kinds import ColumnKind
from jlrun.tables.layout import Reading
from jlrun.tables.outline import Outline, Request, folder_of, outline
from jlrun.tables.settings import (
    AudioSettings,
    CategorySettings,
    ImageSettings,
    SeriesSettings,
    TextSettings,
)
from jlrun.tables.store import Form
from jlrun.tables.target_kinds import Target, TargetKind

# Where a table stands in a config is not known here; `jlrun.feeds` puts it right.
WHERE = "dataset"
FILE_KINDS = ("image", "audio", "series")
_FORM_OF_COLUMN: dict[str, Form] = {"number": "number", "category": "code"}


def load_table(
    path: str,
    val_path: str | None = None,
    test_path: str | None = None,
    targets: list[str] | dict[str, Target | TargetKind | None] | None = None,
    columns: dict[str, ColumnKind] | None = None,
    split_column: str | None = None,
    group_by: str | None = None,
    files_root: str | None = None,
    on_error: Literal["fail", "skip"] = "fail",
    reading: Reading | None = None,
    text: TextSettings | None = None,
    category: CategorySettings | None = None,
    image: ImageSettings | None = None,
    audio: AudioSettings | None = None,
    series: SeriesSettings | None = None,
    cache: str | None = None,
) -> Dataset:
    """Return the rows of a CSV, TSV, JSON Lines or Parquet file.

    What is not said is inferred from the file: see `jlrun.tables.outline`. Vocabularies, levels,
    means and standard deviations are learned when training rows are chosen; names of classes are
    those of all rows that training may draw from, so that they are the same for every seed.

    Args:
        path: the table.
        val_path, test_path: further tables with the same columns; None: split off.
        targets: columns to predict, with a kind each or without.
        columns: kinds of columns; those without one are inferred.
        split_column: says of each row whether it is for train, val or test.
        group_by: rows with the same cell in this column stay in one split.
        files_root: folder that names of files are relative to; None: that of the table.
        on_error: what is done with bad rows: a report, or training without them.
        reading: how the files are written.
        text, category, image, audio, series: how inputs of these kinds are read.
        cache: folder of converted tables, so that they need not fit in memory; None: the user's.

    Returns:
        modalities ``image``, ``audio``, ``text``, ``series`` and ``tabular`` (numbers and
        categories), of which a row lacks those whose cells are missing.

    Raises:
        UserError: for whatever is wrong with the files, their columns or, unless they are skipped,
            their rows.
    """
    request = Request(
        Path(path).expanduser(),
        WHERE,
        reading or Reading(),
        columns or {},
        targets,
        split_column,
        group_by,
        files_root,
        join_texts=(text or TextSettings()).join,
        max_levels=(category or CategorySettings()).max_levels,
        image=image or ImageSettings(),
        audio=audio or AudioSettings(),
        series=series or SeriesSettings(),
    )
    found = _told(request, columns or {}) or outline(request)
    if found.split_column and (val_path or test_path):
        fix = "leave the files out, or split_column"
        raise UserError.of(f"{WHERE}.split_column", f"rows are divided by it and by files; {fix}")
    modalities = found.modalities(request.join_texts)
    settings = InputSettings(
        request.folder,
        text or TextSettings(),
        category or CategorySettings(),
        found.image,
        found.audio,
        found.series,
    )
    paths = {"train": path, "val": val_path, "test": test_path}
    wholes = {
        split: _read(Path(file).expanduser(), request, found, modalities, settings, cache)
        for split, file in paths.items()
        if file is not None
    }
    num_read = sum(part.store.num_read for part in wholes.values())
    parts = divided(wholes["train"], found.split_column) if found.split_column else wholes
    bad = [part.bad for part in wholes.values()]
    if "train" not in parts:
        raise _without_training_rows(wholes["train"], found)
    classes = find_classes(found.targets, parts["train"].store, parts["train"].rows)
    rows = {split: _rows(part, found, classes) for split, part in parts.items()}
    if on_error == "fail":
        _refuse(wholes)
    dataset = Dataset(
        train=rows["train"],
        val=rows.get("val"),
        test=rows.get("test"),
        modalities={},
        classes=classes,
        groups=_groups(parts["train"], found, rows["train"]),
        account=TableAccount(modalities, request.reading, files_root, bad, num_read),
    )
    fitting = Fitting(modalities, settings, found.targets)
    return fitting.of(replace(dataset, modalities=fitting.unfitted()))


def _told(request: Request, columns: Mapping[str, ColumnKind]) -> Outline | None:
    """Return what the table is, where all of it was said."""
    targets = request.targets
    if not isinstance(targets, Mapping) or not columns:
        return None
    whole = {task: target for task, target in targets.items() if isinstance(target, Target)}
    if len(whole) < len(targets):
        return None
    sizes = request.image.size, request.audio.rate, request.series.length
    for kind, size in zip(("image", "audio", "series"), sizes, strict=True):
        if kind in columns.values() and size is None:
            return None
    return Outline(
        dict(columns),
        whole,
        request.split_column,
        request.group_by,
        request.image,
        request.audio,
        request.series,
    )


def _read(
    path: Path,
    request: Request,
    found: Outline,
    modalities: Mapping[str, ColumnsOf],
    settings: InputSettings,
    cache: str | None,
) -> Part:
    """Return all good rows of a file."""
    forms, files = _forms(found), dict[str, CheckFile]()
    media = [columns for columns in modalities.values() if columns.kind in FILE_KINDS]
    if media:
        specs = settings.image_spec, settings.audio_spec, settings.series_spec
        kinds = {columns.kind for columns in media}
        known = {k: s() for k, s in zip(FILE_KINDS, specs, strict=True) if k in kinds}
        check = checks(known)
        files = {columns.columns[0]: check[columns.kind] for columns in media}
    wanted = Wanted(
        path=path,
        reading=request.reading,
        forms=forms,
        inputs=[name for columns in modalities.values() for name in columns.all],
        files=files,
        files_key=str([settings.image, settings.audio, settings.series]) if files else "",
        folder=folder_of(path, request.files_root),
    )
    return Part.whole(stored(wanted, cache_folder(cache), WHERE))


def _forms(found: Outline) -> dict[str, Form]:
    """Return column -> how it is stored."""
    forms: dict[str, Form] = {
        name: _FORM_OF_COLUMN.get(kind, "text")
        for name, kind in found.columns.items()
        if kind != "ignore"
    }
    forms |= {target.column: FORM_OF_TARGET[target.kind] for target in found.targets.values()}
    for column in (found.split_column, found.group_by):
        if column is not None:
            _require_names(column, forms)
            forms[column] = "code"
    return forms


def _require_names(column: str, forms: Mapping[str, Form]) -> None:
    """Refuse to divide rows by a target that is no class."""
    if forms.get(column, "code") != "code":
        fix = "copy the column under another name"
        raise UserError.of(WHERE, f"'{column}' is a target of numbers or labels too; {fix}")


def _rows(part: Part, found: Outline, classes: Mapping[str, tuple[str, ...]]) -> TableRows:
    """Return rows with their targets; those with an unknown label become bad ones."""
    columns = read_targets(found.targets, classes, part.store, part.rows)
    if columns.unknown:
        part = part.without(columns.unknown)
        columns = read_targets(found.targets, classes, part.store, part.rows)
    return TableRows(part.store, part.rows, columns.targets, columns.labelled)


def _groups(part: Part, found: Outline, rows: TableRows) -> torch.Tensor | None:
    if found.group_by is None:
        return None
    return torch.from_numpy(groups_of(replace(part, rows=rows.rows), found.group_by))


def _refuse(wholes: Mapping[str, Part]) -> None:
    """Refuse tables with bad rows, all of them together."""
    where, problems = f"{WHERE}.on_error", list[Problem]()
    for part in wholes.values():
        try:
            part.bad.refuse(part.store.num_read, where, f"{where}=skip")
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)


def _without_training_rows(whole: Part, found: Outline) -> UserError:
    column = found.split_column
    assert column is not None
    if not len(whole.rows):
        return UserError(whole.bad.problems())
    seen = ", ".join(whole.store.levels(column)[:10])
    return UserError.of(f"{WHERE}.split_column", f"'{column}' says train of no row; it has {seen}")
