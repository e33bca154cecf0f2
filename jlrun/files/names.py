"""Names that are valid for files and terminals."""

from __future__ import annotations

import re
from collections.abc import Iterable

from jlrun.errors import Problem

LONGEST_ON_DISK = 150  # bytes; file systems allow 255, and names get endings

_CONTROLS = "\x00-\x1f\x7f-\x9f\u2028\u2029"
_SURROGATES = "\ud800-\udfff"
_BIDI = "\u202a-\u202e\u2066-\u2069"  # turn the order of what follows; marks alone are harmless
_UNWRITABLE = re.compile(f"[{_CONTROLS}{_SURROGATES}{_BIDI}]")
_ESCAPED = re.compile(f"(?![\\n\\t])[{_CONTROLS}{_SURROGATES}{_BIDI}]")


def printable(text: str) -> str:
    """Return a text for the terminal, with control characters except newline and tab escaped."""
    return _ESCAPED.sub(lambda found: ascii(found.group())[1:-1], text)


def name_problems(where: str, kind: str, names: Iterable[str], on_disk: bool) -> list[Problem]:
    """Return problems of names that results, figures and the terminal show.

    Args:
        where: config path.
        kind: kind of thing, such as ``class``.
        names: the names.
        on_disk: whether they become file names.
    """
    found = []
    for name in names:
        reason = _why_unwritable(name, on_disk)
        if reason is not None:
            found.append(Problem(where, f"the {kind} {ascii(name)[:80]} {reason}; rename it"))
    return found


def _why_unwritable(name: str, on_disk: bool) -> str | None:
    bad = _UNWRITABLE.search(name)
    if bad is not None:
        return f"has {bad.group()!a}, which can't be written or shown"
    if not on_disk:
        return None
    if "/" in name or name in (".", ".."):
        return "can't be part of the name of a file"
    if len(name.encode()) > LONGEST_ON_DISK:
        return f"is longer than {LONGEST_ON_DISK} bytes"
    return None
