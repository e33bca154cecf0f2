"""Names of columns: match what a user wrote, and turn names into identifiers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from jlrun.data.written_names import Name, as_written, find_name, setting
from jlrun.errors import Problem, UserError, did_you_mean


def find_column(wanted: Name, columns: Sequence[str], where: str) -> str:
    """Return the column ``wanted``: by its exact name, else by its name without case and
    punctuation, else by its first words.

    Raises:
        UserError: at ``where``, if no column matches, or several do.
    """
    found = find_name(wanted, columns, where)
    if found is not None:
        return columns[found]
    wanted = str(wanted)
    same = [name for name in columns if slug(name) == slug(wanted)]
    near = same or [name for name in columns if f"{slug(name)}_".startswith(f"{slug(wanted)}_")]
    if len(near) == 1:
        return near[0]
    if near:
        listed = ", ".join(f"'{name}'" for name in near)
        raise UserError.of(where, f"'{wanted}' may mean {listed}; write the whole name")
    raise UserError.of(where, f"the table has no column '{wanted}'.{_hint(wanted, columns, where)}")


def _hint(wanted: str, columns: Sequence[str], where: str) -> str:
    """Return which column may be meant, and how it is written if it needs quotes."""
    hint = did_you_mean(wanted, columns)
    odd = [name for name in columns if wanted in name and as_written(name) != name]
    if len(odd) != 1:
        return hint
    key, name = where.rpartition(".")[2], as_written(odd[0])
    forms = {"targets": f"[{name}]", "split_column": name, "group_by": name}
    if key in forms:
        return f"{hint} Write {setting(where, forms[key])}"
    return f"{hint} Write {setting(where, f'{{{name}: …}}')}"


def same_name(wanted: Name, names: Sequence[str], where: str) -> str | None:
    """Return the name that is ``wanted``, or the only one that agrees but for case and marks.

    Raises:
        UserError: at ``where``, if several may be meant.
    """
    exact = find_name(wanted, names, where)
    if exact is not None:
        return names[exact]
    same = [name for name in names if slug(name) == slug(str(wanted))]
    return same[0] if len(same) == 1 else None


def named(wanted: Name, names: Sequence[str], where: str, problems: list[Problem]) -> str | None:
    """Return `find_column`, or None after adding to ``problems``; None for None."""
    try:
        return None if wanted is None else find_column(wanted, names, where)
    except UserError as error:
        problems += error.problems
        return None


def slug(name: str) -> str:
    """Return a name as letters, digits and ``_``, in lower case."""
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_")


def distinct_slugs(names: Iterable[str]) -> dict[str, str]:
    """Return name -> slug, numbered where two would be equal."""
    found: dict[str, str] = {}
    for name in names:
        base, number = slug(name) or "column", 2
        candidate = base
        while candidate in found.values():
            candidate, number = f"{base}_{number}", number + 1
        found[name] = candidate
    return found
