"""What a table is, as far as nobody has said it: kinds of columns, tasks, sizes of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from jlrun.errors import Problem, UserError, did_you_mean
from jlrun.tables.column_names import find_column, slug
from jlrun.tables.inputs import ColumnsOf, modalities_of
from jlrun.tables.kinds import COLUMN_KINDS, ColumnKind, Inferred, infer_kind
from jlrun.tables.layout import Reading
from jlrun.tables.media import existing, measured_audio, measured_images, measured_series
from jlrun.tables.settings import AudioSettings, ImageSettings, SeriesSettings
from jlrun.tables.statistics import ColumnStatistics, FileStatistics, measure
from jlrun.tables.target_kinds import TARGET_KINDS, Target, TargetKind, infer_target, unfit_target
from jlrun.tables.task_names import task_name

Targets = Sequence[str] | Mapping[str, TargetKind | Target | None] | None

_TARGET_NAMES = ("target", "label", "class", "y")


@dataclass(frozen=True)
class Request:
    """What a user says of a table; the rest is inferred.

    Attributes:
        path: the file.
        where: config path of the data set, for errors.
        columns: column -> its kind, of those that are not to be inferred.
        targets: columns to predict; with a kind each, or that and the column under another name.
        split_column, group_by: columns that divide the rows, and are no inputs.
        files_root: the folder that names of files are relative to; None: that of the table.
        join_texts: whether all texts are one modality.
        max_levels: different cells up to which a column is a category.
    """

    path: Path
    where: str = "dataset"
    reading: Reading = field(default_factory=Reading)
    columns: Mapping[str, str] = field(default_factory=dict)
    targets: Targets = None
    split_column: str | None = None
    group_by: str | None = None
    files_root: str | None = None
    join_texts: bool = True
    max_levels: int = 1_000
    image: ImageSettings = field(default_factory=ImageSettings)
    audio: AudioSettings = field(default_factory=AudioSettings)
    series: SeriesSettings = field(default_factory=SeriesSettings)

    @property
    def folder(self) -> Path:
        """The folder that names of files are relative to."""
        return folder_of(self.path, self.files_root)


def folder_of(path: Path, files_root: str | None) -> Path:
    """Return the folder that names of files in a table are relative to."""
    return path.parent if files_root is None else Path(files_root).expanduser()


@dataclass(frozen=True)
class Outline:
    """What a table is.

    Attributes:
        columns: column -> kind, of all that are no targets and do not divide the rows.
        targets: task -> its column and kind.
        split_column, group_by: by their whole names.
        image, audio, series: without gaps, where there are such columns.
        reasons: column -> why it was taken for what it is.
        num_rows: of the file.
        lines: what was inferred, and why.
    """

    columns: Mapping[str, ColumnKind]
    targets: Mapping[str, Target]
    split_column: str | None
    group_by: str | None
    image: ImageSettings
    audio: AudioSettings
    series: SeriesSettings
    reasons: Mapping[str, str] = field(default_factory=dict)
    num_rows: int = 0
    lines: tuple[str, ...] = ()

    def modalities(self, join_texts: bool) -> dict[str, ColumnsOf]:
        """Return modality -> its columns."""
        return modalities_of(self.columns, join_texts)


def outline(request: Request) -> Outline:
    """Return what the table is.

    Raises:
        UserError: if it can't be read, or what was said of it does not fit.
    """
    table = measure(request.path, request.reading, request.where)
    names, where, problems = list(table.columns), request.where, list[Problem]()
    split_column = _named(request.split_column, names, f"{where}.split_column", problems)
    group_by = _named(request.group_by, names, f"{where}.group_by", problems)
    given = _given_kinds(request, names, problems)
    targets, reasons = _targets(request, table, problems)
    for task, target in targets.items():
        if given.get(target.column, "ignore") != "ignore":
            message = f"'{target.column}' is the target '{task}', and no input; leave it out here"
            problems.append(Problem(f"{where}.columns", message))
    if problems:
        raise UserError(problems)
    apart = {*(target.column for target in targets.values()), split_column, group_by}
    inferred = {
        name: Inferred(given[name], "") if name in given else _kind(request, name, column)
        for name, column in table.columns.items()
        if name not in apart
    }
    columns: dict[str, ColumnKind] = {name: found.kind for name, found in inferred.items()}
    if not any(kind != "ignore" for kind in columns.values()):
        fix = f"say what is an input by {where}.columns={{name: kind}}"
        raise UserError.of(where, f"no column of '{request.path.name}' is an input; {fix}")
    lines = _lines(request, table, inferred, targets, reasons)
    return _with_sizes(
        Outline(
            columns,
            targets,
            split_column,
            group_by,
            request.image,
            request.audio,
            request.series,
            {name: found.why for name, found in inferred.items()}
            | {targets[task].column: why for task, why in reasons.items()},
            table.num_rows,
            tuple(lines),
        ),
        request,
        table,
    )


def _named(
    wanted: str | None, names: Sequence[str], where: str, problems: list[Problem]
) -> str | None:
    try:
        return None if wanted is None else find_column(wanted, names, where)
    except UserError as error:
        problems += error.problems
        return None


def _kind(request: Request, name: str, column: ColumnStatistics) -> Inferred:
    return infer_kind(name, column, request.max_levels)


def _given_kinds(
    request: Request, names: Sequence[str], problems: list[Problem]
) -> dict[str, ColumnKind]:
    where, given = f"{request.where}.columns", dict[str, ColumnKind]()
    for wanted, kind in request.columns.items():
        name = _named(str(wanted), names, where, problems)
        if kind not in COLUMN_KINDS:
            hint = did_you_mean(str(kind), COLUMN_KINDS)
            problems.append(Problem(f"{where}.{wanted}", f"'{kind}' is no kind of column.{hint}"))
        elif name is not None:
            given[name] = cast(ColumnKind, kind)
    return given


def _targets(
    request: Request, table: FileStatistics, problems: list[Problem]
) -> tuple[dict[str, Target], dict[str, str]]:
    """Return task -> target, and why it was taken for one of its kind."""
    asked = _asked(request, list(table.columns), problems)
    targets, reasons = dict[str, Target](), dict[str, str]()
    for task, (column, kind) in asked.items():
        statistics = table.columns[column]
        found = infer_target(statistics)
        unfit = unfit_target(kind, statistics) if kind else found if isinstance(found, str) else ""
        if unfit:
            problems.append(Problem(f"{request.where}.targets", f"{column}: {unfit}"))
        elif kind:
            targets[task], reasons[task] = Target(column, kind), "as asked for"
        else:
            assert not isinstance(found, str)
            targets[task], reasons[task] = Target(column, found[0]), found[1]
    return targets, reasons


def _asked(
    request: Request, names: Sequence[str], problems: list[Problem]
) -> dict[str, tuple[str, TargetKind | None]]:
    """Return task -> its column, and its kind where that was said."""
    where, wanted = f"{request.where}.targets", request.targets
    if not wanted:
        guess = [name for name in names if slug(name) in _TARGET_NAMES]
        if len(guess) != 1:
            example = f"{where}=[{guess[0] if guess else names[-1]}]"
            problems.append(
                Problem(
                    where, f"what is to be predicted? Name columns, as in {example}{_of(names)}"
                )
            )
            return {}
        wanted = guess
    pairs = wanted.items() if isinstance(wanted, Mapping) else [(name, None) for name in wanted]
    found: dict[str, tuple[str, TargetKind | None]] = {}
    for name, said in pairs:
        column = said.column if isinstance(said, Target) else str(name)
        kind = said.kind if isinstance(said, Target) else said
        if kind is not None and kind not in TARGET_KINDS:
            hint = did_you_mean(str(kind), TARGET_KINDS)
            problems.append(Problem(f"{where}.{name}", f"'{kind}' is no kind of task.{hint}"))
            continue
        right = _named(column, names, where, problems)
        if right is not None:
            found[task_name(str(name))] = right, kind
    return found


def _of(names: Sequence[str]) -> str:
    return f"; there are {', '.join(names[:30])}{', …' if len(names) > 30 else ''}"


def _with_sizes(found: Outline, request: Request, table: FileStatistics) -> Outline:
    """Return the outline with what the first files of each kind show."""
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
    if "audio" in kinds:
        audio = measured_audio(audio, paths["audio"])
        if audio != found.audio:
            lines.append(f"  recordings of {audio.seconds} s at {audio.rate} Hz")
    if "series" in kinds:
        series = measured_series(series, paths["series"])
        if series != found.series:
            lines.append(f"  series of {series.length} steps, {series.channels} numbers each")
    return replace(found, image=image, audio=audio, series=series, lines=tuple(lines))


def _lines(
    request: Request,
    table: FileStatistics,
    inferred: Mapping[str, Inferred],
    targets: Mapping[str, Target],
    reasons: Mapping[str, str],
) -> list[str]:
    """Return what was inferred and why, a line for each column."""
    facts = [(t.column, f"-> {name}", f"{t.kind}: {reasons[name]}") for name, t in targets.items()]
    facts += [(name, found.kind, found.why) for name, found in inferred.items() if found.why]
    if not any(reason != "as asked for" for reason in reasons.values()):
        facts = [fact for fact in facts if not fact[1].startswith("-> ")]
    if not facts:
        return []
    first, second = (max(len(fact[i]) for fact in facts) for i in (0, 1))
    fix = f"{request.where}.columns={{name: kind}} says otherwise"
    title = f"{request.where}: {request.path.name}, {table.num_rows:,} rows, inferred ({fix})"
    return [title, *(f"  {a:<{first}}  {b:<{second}}  {c}" for a, b, c in facts)]
