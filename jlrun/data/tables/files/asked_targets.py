"""Targets of a table: columns and kinds, as requested, inferred, or known from another run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from jlrun.data.tables.files.column_names import find_column, named, slug
from jlrun.data.tables.files.kinds import (
    TARGET_KINDS,
    Target,
    TargetKind,
    infer_target,
    unfit_target,
)
from jlrun.data.tables.files.labels import LabelEvidence, label_evidence
from jlrun.data.tables.files.missing_words import class_hint
from jlrun.data.tables.files.request import Request
from jlrun.data.tables.files.statistics import ColumnStatistics, FileStatistics
from jlrun.data.written_names import as_written, find_name, setting
from jlrun.errors import Problem, UserError, did_you_mean

ASKED_FOR = "as asked for"
UNLABELLED = "label"  # task of a table without targets
_TARGET_NAMES = ("target", "label", "class", "y")


# Attributes of PyTorch's containers: heads are stored under the names of their tasks.
_NAMES = """
T_destination add_module apply bfloat16 buffers call_super_init children clear compile cpu cuda
double dump_patches eval extra_repr float forward get_buffer get_extra_state get_parameter
get_submodule half ipu items keys load_state_dict modules mtia named_buffers named_children
named_modules named_parameters parameters pop register_backward_hook register_buffer
register_forward_hook register_forward_pre_hook register_full_backward_hook
register_full_backward_pre_hook register_load_state_dict_post_hook
register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook
register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict
to to_empty train training type update values xpu zero_grad
"""
TAKEN = frozenset(_NAMES.split())


def find_targets(
    request: Request, table: FileStatistics, problems: list[Problem]
) -> tuple[dict[str, Target], dict[str, str]]:
    """Return task -> target, and task -> reason for its kind; adds to ``problems``."""
    asked = _asked(request, list(table.columns), problems)
    targets, reasons = dict[str, Target](), dict[str, str]()
    for task, (column, kind) in asked.items():
        if request.known or column not in table.columns:
            targets[task], reasons[task] = learned_elsewhere(
                column, kind or kind_elsewhere(task, asked, request.known), table
            )
            continue
        found = _target(request, column, kind, table.columns[column])
        if isinstance(found, str):
            problems.append(Problem(f"{request.where}.targets", f"{column}: {found}"))
        else:
            targets[task], reasons[task] = found
    return targets, reasons


def _target(
    request: Request, column: str, asked: TargetKind | None, statistics: ColumnStatistics
) -> tuple[Target, str] | str:
    """Return a target and the reason for its kind; or, as a string, why it can't be a target."""
    where, reading = request.where, request.reading
    found = infer_target(statistics, where, column, reading)
    unfit = unfit_target(asked, statistics, where, column, reading) if asked else found
    evidence = label_evidence(statistics.sample)
    said = _said_separator(request, column)
    if isinstance(unfit, str) and unfit:
        words = class_hint(column, statistics, where)
        return (
            unfit + words + ("" if evidence is None else f"; {_proposal(where, column, evidence)}")
        )
    if asked == "multilabel":
        separator = said or (evidence.separator if evidence and not statistics.listed else None)
        why = ASKED_FOR if said or separator is None else f"{ASKED_FOR}; {evidence}"
        return Target(column, asked, separator=separator), why
    if asked:
        return Target(column, asked), ASKED_FOR
    assert not isinstance(found, str)
    more = evidence is not None and found[0] in ("multiclass", "binary")
    why = f"{found[1]}; {_proposal(where, column, evidence)}" if evidence and more else found[1]
    return Target(column, found[0]), why


def _said_separator(request: Request, column: str) -> str | None:
    targets = request.targets if isinstance(request.targets, Mapping) else {}
    given = [target for target in targets.values() if isinstance(target, Target)]
    return next((t.separator for t in given if slug(t.column) == slug(column)), None)


def _proposal(where: str, column: str, evidence: LabelEvidence) -> str:
    name = as_written(column)
    return f"{evidence}: {setting(f'{where}.targets', f'{{{name}: multilabel}}')} reads them so"


def _asked(
    request: Request, names: Sequence[str], problems: list[Problem]
) -> dict[str, tuple[str, TargetKind | None]]:
    """Return task -> its column, and its kind where the user gave one."""
    where, wanted = f"{request.where}.targets", request.targets
    if wanted is not None and not wanted and not request.known:
        fix = f"name a column, as in {_listing(where, names[-1])}, or leave it out"
        problems.append(Problem(where, f"is empty, so there is nothing to predict: {fix}"))
        return {}
    if not wanted and request.known:
        wanted = wanted_elsewhere(request.known, names, _TARGET_NAMES)
    if not wanted:
        guess = [name for name in names if slug(name) in _TARGET_NAMES]
        if not guess and request.inputs_alone:
            return {UNLABELLED: (UNLABELLED, "multiclass")}
        if len(guess) != 1:
            example = _listing(where, guess[0] if guess else names[-1])
            problems.append(
                Problem(where, f"no target is set; name columns, as in {example}{_of(names)}")
            )
            return {}
        wanted = guess
    pairs = wanted.items() if isinstance(wanted, Mapping) else [(name, None) for name in wanted]
    found: dict[str, tuple[str, TargetKind | None]] = {}
    for name, given in pairs:
        column = given.column if isinstance(given, Target) else name
        kind = given.kind if isinstance(given, Target) else given
        if kind is not None and kind not in TARGET_KINDS:
            hint = did_you_mean(str(kind), TARGET_KINDS)
            problems.append(Problem(f"{where}.{name}", f"unknown task kind '{kind}'.{hint}"))
            continue
        lacks = isinstance(column, str) and column in request.known and absent(column, names)
        right = str(column) if lacks else named(column, names, where, problems)
        if right is not None:
            # A key of a mapping may have been a number on its way here: 1e3 is "1000.0".
            is_column = column is name and find_name(name, names, where) is not None
            found[task_name(right if is_column else str(name))] = right, kind
    return found


def _listing(where: str, name: str) -> str:
    return setting(where, f"[{as_written(name)}]")


def _of(names: Sequence[str]) -> str:
    return f"; there are {', '.join(names[:30])}{', …' if len(names) > 30 else ''}"


def wanted_elsewhere(
    known: Mapping[str, TargetKind], names: Sequence[str], usual: Collection[str]
) -> list[str]:
    """Return the target columns where the user named none.

    Columns with the name of a known task; else the only column with a usual name of targets; else
    the names of all known tasks, for which the table has no column.
    """
    present = [task for task in known if not absent(task, names)]
    guess = [name for name in names if slug(name) in usual]
    return present or (guess if len(guess) == 1 else list(known))


def absent(column: str, names: Sequence[str]) -> bool:
    """Whether the name matches no column of the table, not even loosely."""
    try:
        find_column(column, names, "")
    except UserError:
        return not any(slug(name) == slug(column) for name in names)
    return False


def kind_elsewhere(
    task: str, asked: Collection[str], known: Mapping[str, TargetKind]
) -> TargetKind | None:
    """Return the kind of the known task of that name, or of the only known task; else None."""
    if task in known:
        return known[task]
    return next(iter(known.values())) if len(known) == len(asked) == 1 else None


def learned_elsewhere(
    column: str, kind: TargetKind | None, table: FileStatistics
) -> tuple[Target, str]:
    """Return a target that needs no labels, and the reason for its kind."""
    found = table.columns.get(column)
    if found is None:
        return Target(column, kind or "multiclass", optional=True), "no such column: no labels"
    if kind == "binary" and len(found.distinct) > 2:
        kind = "multiclass"  # of which the source does not know all classes
    if kind is not None:
        labels = f"{found.filled:,} of {found.rows:,} rows" if found.filled else "no row"
        return Target(column, kind, optional=True), f"as learned elsewhere; {labels} with a label"
    inferred = infer_target(found)
    if isinstance(inferred, str):
        return Target(column, "multiclass", optional=True), "the default: no kind is known"
    return Target(column, inferred[0], optional=True), inferred[1]


def task_name(column: str) -> str:
    """Return a name for the task of a column that is valid in a model and in tags."""
    name = column.replace(".", "_").replace("/", "_")
    return f"{name}_" if name in TAKEN or name.startswith("_") else name
