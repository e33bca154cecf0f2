"""Lists of runs as lines of a terminal, and as JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from jlrun.files.names import printable
from jlrun.reporting.recorders.formats import MISSING, format_percent, format_score
from jlrun.reporting.recorders.header_lines import short_path
from jlrun.reporting.recorders.result_table import ResultTable
from jlrun.runs.listing.filters import number_of
from jlrun.runs.listing.found import Found, counts
from jlrun.wording import counted, shorten

Row = tuple[str, ...]
_NARROWEST = 24  # characters of the last column
_IMPORTANCE = (0, 2, 3, 4, 1)  # of the columns before it
_CLEAR = ("what", "status")  # whose cells need no name
GAIN = "gain/delta_m_percent"


def lines(
    entries: Sequence[Found], width: int, by: str | None = None, expand: bool = False
) -> list[str]:
    """Return a table of runs and groups.

    Args:
        entries: in their order.
        width: characters of a line.
        by: number to show; None: the objective.
        expand: a row also for each member of a group.
    """
    rows = [row for entry in entries for row in _rows(entry, by, None, expand)]
    if not rows:
        return []
    header = ("run", "what", "status", by or "val", "gain")
    table = ResultTable(header, tuple(row[:-1] for row in rows))
    room = width - table.width - 2
    if room < _NARROWEST:
        return _narrow_lines(header, rows, width)
    last = ["overrides", *(shorten(printable(row[-1]), room) for row in rows)]
    return [
        f"{line.ljust(table.width)}  {text}".rstrip()
        for line, text in zip(table.lines(), last, strict=True)
    ]


def _narrow_lines(header: Row, rows: Sequence[Row], width: int) -> list[str]:
    """Return two lines for each row: the columns that fit, and below them what else there is."""
    cut = [(shorten(row[0], width), *row[1:]) for row in rows]
    kept: list[int] = []
    for place in _IMPORTANCE:
        chosen = sorted([*kept, place])
        if not kept or _columns(header, cut, chosen).width <= width:
            kept = chosen
    first, *lines = _columns(header, cut, kept).lines()
    found = [first]
    for line, row in zip(lines, cut, strict=True):
        hidden = [
            cell if name in _CLEAR else f"{name} {cell}"
            for place, (name, cell) in enumerate(zip(header, row[:-1], strict=True))
            if place not in kept and cell not in ("", MISSING, "run")
        ]
        text = printable("  ".join(filter(None, (*hidden, row[-1]))))
        found += [line, *([f"    {shorten(text, width - 4)}"] if text else [])]
    return found


def _columns(header: Row, rows: Sequence[Row], places: Sequence[int]) -> ResultTable:
    """Return a table of some columns."""
    chosen = [tuple(row[place] for place in places) for row in (header, *rows)]
    return ResultTable(chosen[0], tuple(chosen[1:]))


def as_json(entries: Sequence[Found]) -> list[dict[str, Any]]:
    """Return runs with their scores; those of groups name their group."""
    return [entry for found in entries for entry in _objects(found, None)]


def _rows(
    found: Found, by: str | None, group: Found | None, expand: bool, indent: str = ""
) -> Iterator[Row]:
    """Yield a row for a run or group, and for each of its members; without the shared overrides."""
    scored = found.kind in ("run", "folds")
    path = found.directory
    shared = set() if group is None else set(shared_overrides(group))
    name = short_path(path) if group is None else os.path.relpath(path, group.directory)
    own = [text for text in found.overrides if text not in shared]
    yield (
        indent + printable(name),
        _kind(found),
        found.status if scored else counts(found.runs),
        _score(found, by) if scored else "",
        _gain(found) if scored else "",
        found.error or " ".join(own if scored else shared_overrides(found)),
    )
    for member in found.members if expand else ():
        yield from _rows(member, by, found, expand, f"{indent}  ")


def shared_overrides(group: Found) -> list[str]:
    """Return the overrides that all runs of a group have."""
    found = [run.overrides for run in group.members or (group,)]
    return [text for text in found[0] if all(text in other for other in found)] if found else []


def _kind(found: Found) -> str:
    if found.kind == "run":
        return "run"
    if found.kind == "folds":
        return counted(found.size, "fold")
    return f"{found.kind} of {found.size}"


def _score(found: Found, by: str | None) -> str:
    if by is not None:
        return format_score(number_of(found, by))
    value = (found.result.get("objective") or {}).get("value") if found.scores else None
    return format_score(value)


def _gain(found: Found) -> str:
    return format_percent(found.scores[GAIN]) if GAIN in found.scores else MISSING


def _objects(found: Found, group: str | None) -> Iterator[dict[str, Any]]:
    yield {
        "run": str(found.directory),
        "kind": found.kind,
        "group": group,
        "status": found.status,
        "began": datetime.fromtimestamp(found.began).astimezone().isoformat("T", "seconds"),
        "mode": found.result.get("mode"),
        "seed": found.result.get("seed"),
        "overrides": list(found.overrides),
        "scores": dict(found.scores),
        "error": found.error,
    }
    for member in found.members:
        yield from _objects(member, str(found.directory))
