"""The targets that a user asks for: their columns and kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jlrun.data.tables.files.column_names import named, slug
from jlrun.data.tables.files.labels_elsewhere import (
    absent,
    kind_elsewhere,
    learned_elsewhere,
    wanted_elsewhere,
)
from jlrun.data.tables.files.request import Request
from jlrun.data.tables.files.statistics import FileStatistics
from jlrun.data.tables.files.target_kinds import (
    TARGET_KINDS,
    Target,
    TargetKind,
    infer_target,
    unfit_target,
)
from jlrun.data.tables.files.task_names import task_name
from jlrun.data.written_names import find_name
from jlrun.errors import Problem, did_you_mean

ASKED_FOR = "as asked for"
_TARGET_NAMES = ("target", "label", "class", "y")


def find_targets(
    request: Request, table: FileStatistics, problems: list[Problem]
) -> tuple[dict[str, Target], dict[str, str]]:
    """Return task -> target, and why it was taken for one of its kind; adds to ``problems``."""
    asked = _asked(request, list(table.columns), problems)
    targets, reasons = dict[str, Target](), dict[str, str]()
    for task, (column, kind) in asked.items():
        if request.known:
            targets[task], reasons[task] = learned_elsewhere(
                column, kind or kind_elsewhere(task, asked, request.known), table
            )
            continue
        statistics = table.columns[column]
        found = infer_target(statistics, request.where)
        unfit = unfit_target(kind, statistics) if kind else found if isinstance(found, str) else ""
        if unfit:
            problems.append(Problem(f"{request.where}.targets", f"{column}: {unfit}"))
        elif kind:
            targets[task], reasons[task] = Target(column, kind), ASKED_FOR
        else:
            assert not isinstance(found, str)
            targets[task], reasons[task] = Target(column, found[0]), found[1]
    return targets, reasons


def _asked(
    request: Request, names: Sequence[str], problems: list[Problem]
) -> dict[str, tuple[str, TargetKind | None]]:
    """Return task -> its column, and its kind where that was said."""
    where, wanted = f"{request.where}.targets", request.targets
    if wanted is not None and not wanted and not request.known:
        fix = f"name a column, as in {where}=[{names[-1]}], or leave it out"
        problems.append(Problem(where, f"is empty, so nothing is to be predicted: {fix}"))
        return {}
    if not wanted and request.known:
        wanted = wanted_elsewhere(request.known, names, _TARGET_NAMES)
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
        column = said.column if isinstance(said, Target) else name
        kind = said.kind if isinstance(said, Target) else said
        if kind is not None and kind not in TARGET_KINDS:
            hint = did_you_mean(str(kind), TARGET_KINDS)
            problems.append(Problem(f"{where}.{name}", f"'{kind}' is no kind of task.{hint}"))
            continue
        lacks = isinstance(column, str) and column in request.known and absent(column, names)
        right = str(column) if lacks else named(column, names, where, problems)
        if right is not None:
            # A key of a mapping may have been a number on its way here: 1e3 is "1000.0".
            is_column = column is name and find_name(name, names, where) is not None
            found[task_name(right if is_column else str(name))] = right, kind
    return found


def _of(names: Sequence[str]) -> str:
    return f"; there are {', '.join(names[:30])}{', …' if len(names) > 30 else ''}"
