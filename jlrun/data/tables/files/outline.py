"""Outline of a table: infers what the config leaves open (column kinds, tasks, file sizes)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from jlrun.data.tables.files.asked_targets import ASKED_FOR, find_targets
from jlrun.data.tables.files.column_names import named
from jlrun.data.tables.files.inputs import (
    AudioSettings,
    ColumnKind,
    ColumnsOf,
    ImageSettings,
    SeriesSettings,
    modalities_of,
)
from jlrun.data.tables.files.kinds import COLUMN_KINDS, Inferred, Target, infer_kind, is_split
from jlrun.data.tables.files.layout import Reading
from jlrun.data.tables.files.media import existing, measured_audio, measured_images, measured_series
from jlrun.data.tables.files.missing_words import missing_notes
from jlrun.data.tables.files.readings import measured, with_orders
from jlrun.data.tables.files.request import Request
from jlrun.data.tables.files.statistics import FileStatistics
from jlrun.data.written_names import setting
from jlrun.errors import Problem, UserError, did_you_mean
from jlrun.wording import counted


@dataclass(frozen=True)
class Outline:
    """Outline of a table: kinds of columns, targets, sizes of files.

    Attributes:
        columns: column -> kind, without targets and columns that divide the rows.
        targets: task -> its column and kind.
        split_column, group_by, time_by: their full names.
        image, audio, series: complete settings, where there are such columns.
        reading: how the file is written, with the thousands separator that was found.
        reasons: column -> why it has this kind.
        num_rows: of the file.
        notes: column -> notes on how its cells are read.
        split_proposal: a column that names the splits of the rows, and is not used so.
        lines: log lines on what was inferred, and why.
        levels: column -> level -> its rows, of targets and of the split column.
    """

    columns: Mapping[str, ColumnKind]
    targets: Mapping[str, Target]
    split_column: str | None
    group_by: str | None
    image: ImageSettings
    audio: AudioSettings
    series: SeriesSettings
    reading: Reading = field(default_factory=Reading)
    reasons: Mapping[str, str] = field(default_factory=dict)
    num_rows: int = 0
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    split_proposal: str | None = None
    lines: tuple[str, ...] = ()
    levels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    time_by: str | None = None

    def modalities(self, join_texts: bool) -> dict[str, ColumnsOf]:
        """Return modality -> its columns."""
        return modalities_of(self.columns, join_texts)


def stated_outline(request: Request, columns: Mapping[str, ColumnKind]) -> Outline | None:
    """Return the outline of a table that the config describes in full, without reading the file.

    Args:
        request: the table's part of the config.
        columns: column -> kind, of all inputs.

    Returns:
        None where something remains to be inferred.
    """
    targets = request.targets if isinstance(request.targets, Mapping) else {}
    whole = {task: target for task, target in targets.items() if isinstance(target, Target)}
    sizes = {
        "image": request.image.size,
        "audio": request.audio.rate,
        "series": request.series.length,
    }
    gaps = any(size is None and kind in columns.values() for kind, size in sizes.items())
    if gaps or not columns or not whole or len(whole) < len(targets):
        return None
    return Outline(
        dict(columns),
        whole,
        None if request.split_column is None else str(request.split_column),
        None if request.group_by is None else str(request.group_by),
        request.image,
        request.audio,
        request.series,
        request.reading,
        time_by=None if request.time_by is None else str(request.time_by),
    )


def outline(request: Request) -> Outline:
    """Return the outline of a table, inferred from its file where the config leaves it open.

    Raises:
        UserError: if the file can't be read, or the config does not fit it.
    """
    problems = list[Problem]()
    request, table, marks = measured(request, problems)
    names, where = list(table.columns), request.where
    split_column = named(request.split_column, names, f"{where}.split_column", problems)
    group_by = named(request.group_by, names, f"{where}.group_by", problems)
    time_by = named(request.time_by, names, f"{where}.time_by", problems)
    given = _given_kinds(request, names, problems)
    targets, reasons = find_targets(request, table, problems)
    for task, target in targets.items():
        if given.get(target.column, "ignore") != "ignore":
            message = f"'{target.column}' is the target '{task}', not an input; leave it out here"
            problems.append(Problem(f"{where}.columns", message))
    problems += _unreadable(request, table, given)
    if problems:
        raise UserError(problems)
    excluded = {*(target.column for target in targets.values()), split_column, group_by}
    excluded.add(time_by)
    inferred = {
        name: Inferred(given[name], "")
        if name in given
        else infer_kind(name, column, request.max_levels, where, request.reading)
        for name, column in table.columns.items()
        if name not in excluded
    }
    columns: dict[str, ColumnKind] = {name: found.kind for name, found in inferred.items()}
    if not any(kind != "ignore" for kind in columns.values()):
        fix = f"set {setting(f'{where}.columns', '{name: kind}')}"
        raise UserError.of(where, f"no column of '{request.path.name}' is an input; {fix}")
    request = with_orders(request, table, columns)
    classes = {name for name, kind in columns.items() if kind == "category"}
    classes |= {target.column for target in targets.values() if target.kind != "regression"}
    notes: dict[str, list[str]] = {name: [note] for name, note in marks.items()}
    for name, note in missing_notes(table.columns, classes, where).items():
        notes.setdefault(name, []).append(note)
    lines = outline_lines(request, table, inferred, targets, reasons)
    lines += [f"  {name}: {x}" if name else f"  {x}" for name, some in notes.items() for x in some]
    splits = [
        name for name, kind in columns.items() if kind == "ignore" and is_split(table.columns[name])
    ]
    return _with_sizes(
        Outline(
            columns,
            targets,
            split_column,
            group_by,
            request.image,
            request.audio,
            request.series,
            request.reading,
            {name: found.why for name, found in inferred.items()}
            | {targets[task].column: why for task, why in reasons.items()},
            table.num_rows,
            notes,
            splits[0] if len(splits) == 1 else None,
            tuple(lines),
            {name: column.levels for name, column in table.columns.items() if name in excluded},
            time_by,
        ),
        request,
        table,
    )


def _unreadable(
    request: Request, table: FileStatistics, given: Mapping[str, ColumnKind]
) -> Iterator[Problem]:
    """Yield a problem for each column of a given kind whose cells may be read in several ways."""
    for name, kind in given.items():
        notation, question = table.columns[name].notation, ""
        if kind == "date":
            question = notation.question_of_dates(request.where, name, request.reading)
        elif kind == "number":
            question = notation.question(request.where, name, request.reading)
        if question:
            yield Problem(f"{request.where}.columns", f"{name}: {question}")


def _given_kinds(
    request: Request, names: Sequence[str], problems: list[Problem]
) -> dict[str, ColumnKind]:
    where, given = f"{request.where}.columns", dict[str, ColumnKind]()
    for wanted, kind in request.columns.items():
        name = named(wanted, names, where, problems)
        if kind not in COLUMN_KINDS:
            hint = did_you_mean(str(kind), COLUMN_KINDS)
            problems.append(Problem(f"{where}.{wanted}", f"unknown column kind '{kind}'.{hint}"))
        elif name is not None:
            given[name] = cast(ColumnKind, kind)
    return given


def _with_sizes(found: Outline, request: Request, table: FileStatistics) -> Outline:
    """Return the outline with sizes measured on the first files of each kind."""
    paths = {
        kind: [
            path
            for name, found_kind in found.columns.items()
            if found_kind == kind
            for path in existing(request.folder, table.columns[name].examples)
        ]
        for kind in ("image", "audio", "series")
    }
    kinds = set(found.columns.values())
    image, audio, series, lines = found.image, found.audio, found.series, list(found.lines)
    if "image" in kinds:
        image = measured_images(image, paths["image"])
        if image != found.image:
            lines.append(f"  images of {image.size} x {image.size}, {image.channels} channels")
        lines += _longer_lines(paths["image"])
    if "audio" in kinds:
        audio = measured_audio(audio, paths["audio"])
        if audio != found.audio:
            lines.append(f"  recordings of {audio.seconds} s at {audio.rate} Hz")
    if "series" in kinds:
        series = measured_series(series, paths["series"])
        if series != found.series:
            lines.append(f"  series of {series.length} steps, {series.channels} numbers each")
    return replace(found, image=image, audio=audio, series=series, lines=tuple(lines))


def _longer_lines(paths: Sequence[Path]) -> list[str]:
    """Return a log line on the measured images of which the first of several frames is read."""
    from jlrun.data.reading.image_decoding import frames_beyond_first

    longer = [path.name for path in paths if frames_beyond_first(path)]
    if not longer:
        return []
    of = f"{len(longer)} of the first {len(paths)} images, such as {longer[0]}"
    return [f"  {of}, have several frames or pages: the first is read"]


def outline_lines(
    request: Request,
    table: FileStatistics,
    inferred: Mapping[str, Inferred],
    targets: Mapping[str, Target],
    reasons: Mapping[str, str],
) -> list[str]:
    """Return log lines on what was inferred and why, one for each column."""
    facts = [(t.column, f"-> {name}", f"{t.kind}: {reasons[name]}") for name, t in targets.items()]
    facts += [(name, found.kind, found.why) for name, found in inferred.items() if found.why]
    if not any(reason != ASKED_FOR for reason in reasons.values()):
        facts = [fact for fact in facts if not fact[1].startswith("-> ")]
    if not facts:
        return []
    first, second = (max(len(fact[i]) for fact in facts) for i in (0, 1))
    fix = f"{request.where}.columns={{name: kind}} overrides"
    title = (
        f"{request.where}: {request.path.name}, {counted(table.num_rows, 'row')}, inferred ({fix})"
    )
    return [title, *(f"  {a:<{first}}  {b:<{second}}  {c}" for a, b, c in facts)]
