"""Loader of tables as data sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from jlrun.data.dataset import Dataset
from jlrun.data.tables.files.inputs import (
    AudioSettings,
    CategorySettings,
    ColumnKind,
    ImageSettings,
    SeriesSettings,
    TextSettings,
)
from jlrun.data.tables.files.kinds import Target, TargetKind
from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.outline import outline, stated_outline
from jlrun.data.tables.files.request import Request, check_distinct_files
from jlrun.data.tables.fitting import Fitting, InputKinds
from jlrun.data.tables.reader import WHERE, Reader
from jlrun.data.tables.report import TableReport
from jlrun.data.tables.table_rows import Part
from jlrun.data.written_names import Name
from jlrun.errors import Problem, UserError
from jlrun.tasks.target_scales import ScaleName


def load_table(
    path: str,
    val_path: str | None = None,
    test_path: str | None = None,
    targets: list[Name] | dict[str, Target | TargetKind | None] | None = None,
    columns: dict[str, ColumnKind] | None = None,
    split_column: Name = None,
    group_by: Name = None,
    files_root: str | None = None,
    on_error: Literal["fail", "skip"] = "fail",
    reading: Reading | None = None,
    text: TextSettings | None = None,
    category: CategorySettings | None = None,
    image: ImageSettings | None = None,
    audio: AudioSettings | None = None,
    series: SeriesSettings | None = None,
    target_transform: ScaleName = "auto",
    cache: str | None = None,
    modalities: Sequence[str] | None = None,
    time_by: Name = None,
) -> Dataset:
    """Return the rows of a CSV, TSV, JSON Lines or Parquet file.

    What the arguments leave open is inferred from the file: see `jlrun.data.tables.files.outline`.
    Vocabularies, levels, means and standard deviations are learned when training rows are chosen.
    Classes are those of all rows that training may draw from, so that they are the same for every
    seed.

    Args:
        path: the table.
        val_path, test_path: further tables with the same columns; None: rows are split off.
        targets: columns to predict, with a kind each or without.
        columns: kinds of columns; those without one are inferred.
        split_column: column with the split of each row: train, val or test.
        group_by: rows with the same cell in this column stay in one split.
        files_root: folder that file names are relative to; None: that of the table.
        on_error: ``fail`` with a report on bad rows, or ``skip`` them.
        reading: how the files are written.
        text, category, image, audio, series: how inputs of these kinds are read.
        target_transform: scale on which numbers to predict are learned: their logarithm, their
            normal scores, none, or, ``auto``, the logarithm of very skewed ones.
        cache: folder of converted tables, so that they need not fit in memory; None: the user's.
        modalities: those in use. Numbers, texts and files of others are neither read nor checked;
            None: all are in use.
        time_by: column with the time of each row: training rows are before validation rows, and
            these before test rows.

    Returns:
        modalities ``image``, ``audio``, ``text``, ``series`` and ``tabular`` (numbers and
        categories), of which a row lacks those whose cells are missing.

    Raises:
        UserError: for faults of the files, their columns or, unless skipped, their rows.
    """
    check_distinct_files({"path": path, "val_path": val_path, "test_path": test_path}, WHERE)
    kinds = InputKinds(
        text or TextSettings(),
        category or CategorySettings(),
        image or ImageSettings(),
        audio or AudioSettings(),
        series or SeriesSettings(),
    )
    request = Request(
        Path(path).expanduser(),
        WHERE,
        reading or Reading(),
        columns or {},
        targets,
        split_column,
        group_by,
        files_root,
        join_texts=kinds.text.join,
        max_levels=kinds.category.max_levels,
        image=kinds.image,
        audio=kinds.audio,
        series=kinds.series,
        time_by=time_by,
    )
    found = stated_outline(request, columns or {}) or outline(request)
    reader = Reader.of(request, found, kinds, cache, modalities)
    if split_column is not None and (val_path or test_path):
        fix = "leave the files out, or split_column"
        raise UserError.of(f"{WHERE}.split_column", f"rows are divided by it and by files; {fix}")
    for key, other in (("group_by", group_by), ("split_column", split_column)):
        if time_by is not None and other is not None:
            message = f"rows are divided by it and by {key}; leave one of them out"
            raise UserError.of(f"{WHERE}.time_by", message)
    paths = {"train": path, "val": val_path, "test": test_path}
    wholes = {
        split: _whole(reader, split, Path(file).expanduser())
        for split, file in paths.items()
        if file is not None
    }
    rows, classes = reader.rows_of(wholes)
    if on_error == "fail":
        _check_bad_rows(list(wholes.values()))
    dataset = Dataset(
        train=rows["train"],
        val=rows.get("val"),
        test=rows.get("test"),
        modalities={},
        classes=classes,
        groups=reader.groups(rows["train"]),
        times=reader.times(rows["train"]),
        report=TableReport(
            reader.modalities,
            reader.reading,
            files_root,
            [whole.bad for whole in wholes.values()],
            sum(whole.store.num_read for whole in wholes.values()),
            missing=_missing(list(wholes.values())),
            unused=reader.unused,
        ),
    )
    fitting = Fitting(
        reader.modalities,
        reader.kinds,
        request.folder,
        reader.outline.targets,
        target_transform=target_transform,
    )
    return fitting.of(replace(dataset, modalities=fitting.unfitted()))


def _whole(reader: Reader, split: str, path: Path) -> Part:
    """Return all good rows of a file; errors name its key of the config."""
    try:
        return reader.whole(path)
    except UserError as error:
        if split == "train":
            raise
        named = f"{WHERE}.{split}_path"
        places: dict[str, str] = {WHERE: named, f"{WHERE}.path": named}
        problems = [Problem(places.get(p.where, p.where), p.message) for p in error.problems]
        raise UserError(problems) from error


def _missing(wholes: Sequence[Part]) -> dict[str, Counter[str]]:
    """Return column -> word that was taken for missing -> cells, of all files."""
    found: dict[str, Counter[str]] = {}
    for whole in wholes:
        for column, words in whole.store.words.items():
            found.setdefault(column, Counter()).update(words)
    return found


def _check_bad_rows(wholes: Sequence[Part]) -> None:
    """Check that no file has bad rows; one error reports all files."""
    where, problems = f"{WHERE}.on_error", list[Problem]()
    for whole in wholes:
        try:
            whole.bad.check(whole.store.num_read, where, f"{where}=skip")
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
