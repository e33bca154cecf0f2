"""Names as written in a config: shell, Hydra or YAML read ``1_2`` as 12, ``10_19`` as 1019,
``1e5`` as 100000.0, ``010`` as 8, and ``true`` and ``null`` as values."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Iterator, Sequence

from jlrun.errors import UserError

# Types that a name may have after parsing of a config.
Name = str | int | float | bool | None
# Keys whose value is a list of names.
_SEVERAL = ("classes", "unseen", "targets")

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "yes", "on", "y"), True),
    **dict.fromkeys(("false", "no", "off", "n"), False),
    **dict.fromkeys(("null", "~"), None),
}
_FORMS: tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...] = (
    (re.compile(r"[-+]?([1-9]\d*|0)"), int),
    (re.compile(r"[-+]?0\d+"), int),
    (re.compile(r"[-+]?0[0-7]+"), lambda text: int(text, 8)),
    (re.compile(r"[-+]?0x[0-9a-fA-F]+"), lambda text: int(text, 16)),
    (re.compile(r"[-+]?0b[01]+"), lambda text: int(text, 2)),
    (re.compile(r"[-+]?\d+(:[0-5]?\d)+"), lambda text: _sexagesimal(text)),
    (re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"), float),
    (re.compile(r"[-+]?\.?(inf|nan)", re.IGNORECASE), lambda text: float(text.replace(".", ""))),
)


def find_name(
    given: Name, names: Sequence[str], where: str, *, positions: bool = False
) -> int | None:
    """Return the position of the name that is ``given``, or that parses to ``given``; else None.

    Args:
        given: the parsed value in a config.
        names: distinct.
        where: config path of ``given``, for errors.
        positions: whether a whole number may also be a position; names take precedence.

    Raises:
        UserError: if several names match, or a name and a position.
    """
    if isinstance(given, str) and given in names:
        return list(names).index(given)
    meant = [i for i, name in enumerate(names) if _may_be(name, given)]
    at = _position(given, names) if positions else None
    exact = [i for i in meant if names[i] == str(given)]
    if len(meant) > 1 or (meant and at is not None and not exact):
        listed = [f"the class '{names[i]}'" if positions else f"'{names[i]}'" for i in meant]
        if at is not None and not exact:
            listed.append(f"the one at position {given}, '{names[at]}'")
        first = names[meant[0]]
        raise UserError.of(
            where, f"{_shown(given)} may be {' or '.join(listed)}; {quoting(where, first)}"
        )
    return meant[0] if meant else at


def quoting(where: str, name: str) -> str:
    """Return a hint on how to quote a name that looks like a number."""
    key = re.sub(r"\.\d+$", "", where)
    several = key != where or key.endswith(_SEVERAL)
    value = f'["{name}"]' if several else f'"{name}"'
    return f"quote a name that looks like a number: '{key}={value}'"


def readings(name: str) -> Iterator[Name]:
    """Yield the values that a config may parse a name to."""
    if name.lower() in _WORDS:
        yield _WORDS[name.lower()]
    plain = name.replace("_", "") if name[:1] != "_" else name
    for form, read in _FORMS:
        if form.fullmatch(plain):
            yield read(plain)


def _may_be(name: str, given: Name) -> bool:
    if isinstance(given, str):  # keys of mappings are numbers turned back to text
        return any(given == str(value) for value in readings(name))
    return any(_same(value, given) for value in readings(name))


def _same(value: Name, given: Name) -> bool:
    if isinstance(value, bool) or isinstance(given, bool) or value is None or given is None:
        return value is given
    assert not isinstance(value, str)
    assert not isinstance(given, str)
    return value == given or (math.isnan(value) and math.isnan(given))


def _position(given: Name, names: Sequence[str]) -> int | None:
    if not isinstance(given, int) or isinstance(given, bool):
        return None
    return given if 0 <= given < len(names) else None


def _sexagesimal(text: str) -> int:
    sign, value = (-1 if text[0] == "-" else 1), 0
    for digits in text.lstrip("+-").split(":"):
        value = 60 * value + int(digits)
    return sign * value


def _shown(given: Name) -> str:
    words = {"True": "true", "False": "false", "None": "null"}
    return words.get(str(given), str(given)) if not isinstance(given, str) else f"'{given}'"


# Words that a list or the keys of a mapping take without quotes.
_PLAIN_WORD = re.compile(r"[A-Za-z_](?:[\w -]*\w)?", re.ASCII)


def as_written(name: str) -> str:
    """Return a name as it stands in a list or as a key of a mapping in an override."""
    plain = _PLAIN_WORD.fullmatch(name) and "  " not in name and not list(readings(name))
    return name if plain else quoted(name)


def quoted(text: str) -> str:
    """Return text in the quotes of Hydra, where backslashes are special before quotes alone."""
    inside = re.sub(r'(\\*)"', lambda found: found[1] * 2 + '\\"', text)
    return f'"{inside}{inside[len(inside.rstrip(chr(92))) :]}"'


def setting(key: str, value: str) -> str:
    """Return an override as a shell takes it."""
    return shlex.quote(f"{key}={value}")


def column_setting(where: str, column: str, values: str) -> str:
    """Return the override that says how the cells of a column are written.

    Args:
        where: config path of the data set.
        column: its name.
        values: such as ``unit: EUR``.
    """
    return setting(f"{where}.reading.columns", f"{{{as_written(column)}: {{{values}}}}}")


def kind_setting(where: str, column: str, kind: str) -> str:
    """Return the override that says the kind of a column."""
    return setting(f"{where}.columns", f"{{{as_written(column)}: {kind}}}")
