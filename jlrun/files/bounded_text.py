"""YAML and JSON of files that may come from anyone, read within bounds.

A file of a few lines can name more than any memory holds: YAML by aliases of aliases, both formats
by nesting that a recursive reader follows until the stack ends. What jlrun writes has no alias, no
tag, no key twice and little depth, so a file of a run that has any was not written by it. In a
user's own YAML aliases are of use: there, what they stand for is counted before it is built.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from jlrun.errors import UserError

LARGEST_FILE = 32 * 2**20  # bytes
LARGEST_NUMBER = 1000  # characters
DEEPEST = 64
MOST_SAVED, MOST_COMPOSED = 1_000_000, 100_000  # nodes; OmegaConf needs 10 KB for each

_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Refused(Exception):
    """What is wrong with a text, in a line."""


class _PlainLoader(_Parser):
    """PyYAML's safe loader, which takes no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping.

        Raises:
            ConstructorError: if it has a key twice.
        """
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            raise yaml.constructor.ConstructorError(
                None, None, "a key stands twice in one mapping", node.start_mark
            )
        return mapping


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file that jlrun wrote.

    Raises:
        UserError: if it can't be read, or has what jlrun does not write: aliases, tags, keys that
            stand twice, great depth or length.
    """
    text = _text(path)
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise _unreadable(path, error) from error


def parse_yaml(text: str) -> Any:
    """Return what a YAML text says, of what jlrun writes.

    Raises:
        ValueError: if it has what jlrun does not write: aliases, tags, keys that stand twice, great
            depth or length.
    """
    try:
        _check_plain(text)
        return yaml.load(text, Loader=_PlainLoader)
    except (_Refused, yaml.YAMLError, RecursionError, OverflowError) as error:
        raise ValueError(" ".join(str(error).split())) from error


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        UserError: if it can't be read, or has numbers that JSON has not, or great depth or length.
    """
    try:
        return parse_json(_text(path))
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise _unreadable(path, error) from error


def parse_json(text: str) -> Any:
    """Return what strict JSON says.

    Raises:
        ValueError: if it is none, or too deep.
    """
    try:
        return json.loads(text, parse_constant=_not_a_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def check_expansion(path: Path, most: int = MOST_COMPOSED) -> None:
    """Refuse a user's YAML whose aliases stand for more than a config can hold.

    Raises:
        UserError: if they do, or one stands for what it is in; also for great depth or length. What
            else is wrong with the file is left to its reader.
    """
    text = _text(path)
    try:
        _Expansion(most).read(_events(text))
    except yaml.YAMLError:
        return
    except _Refused as error:
        raise _unreadable(path, error) from error


class _Expansion:
    """Counts the nodes of a YAML text as if each alias were what it stands for."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: list[list[Any]] = [["", 0, 0]]  # of each node: anchor, size, height
        self._known: dict[str, tuple[int, int]] = {}

    def read(self, events: Iterator[yaml.Event]) -> None:
        """Follow all events.

        Raises:
            _Refused: as soon as there are too many nodes, or they are too deep.
        """
        for event in events:
            if isinstance(event, yaml.AliasEvent):
                if event.anchor not in self._known:
                    raise _Refused(f"the alias *{event.anchor} stands within what it stands for")
                self._add(*self._known[event.anchor])
            elif isinstance(event, yaml.CollectionStartEvent):
                self._open.append([event.anchor, 1, 1])
                if event.anchor:
                    self._known.pop(event.anchor, None)
            elif isinstance(event, yaml.CollectionEndEvent):
                anchor, size, height = self._open.pop()
                self._close(anchor, size, height)
            elif isinstance(event, yaml.ScalarEvent):
                _check_number_length(event)
                self._close(event.anchor, 1, 1)
            if len(self._open) > DEEPEST:
                raise _Refused(f"it is nested more than {DEEPEST} deep")

    def _close(self, anchor: str | None, size: int, height: int) -> None:
        if anchor:
            self._known[anchor] = (size, height)
        self._add(size, height)

    def _add(self, size: int, height: int) -> None:
        holder = self._open[-1]
        holder[1] += size
        holder[2] = max(holder[2], height + 1)
        if holder[1] > self._most:
            raise _Refused(f"with its aliases it has more than {self._most:,} values")
        if len(self._open) + height > DEEPEST:
            raise _Refused(f"it is nested more than {DEEPEST} deep")


def _check_plain(text: str) -> None:
    """Refuse what jlrun does not write."""
    depth = nodes = 0
    for event in _events(text):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _Refused(f"it has an alias, {_at(event)}, and jlrun writes none")
        if getattr(event, "tag", None) not in (None, "!"):
            raise _Refused(f"it has a tag, {_at(event)}, and jlrun writes none")
        if isinstance(event, yaml.ScalarEvent):
            _check_number_length(event)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        nodes += isinstance(event, yaml.NodeEvent)
        if depth > DEEPEST:
            raise _Refused(f"it is nested more than {DEEPEST} deep")
        if nodes > MOST_SAVED:
            raise _Refused(f"it has more than {MOST_SAVED:,} values")


def _events(text: str) -> Iterator[yaml.Event]:
    yield from yaml.parse(text, Loader=_Parser)


def _check_number_length(event: yaml.ScalarEvent) -> None:
    """Refuse numbers that take long to read: Python's whole numbers have no bound."""
    value = event.value
    if event.implicit[0] and len(value) > LARGEST_NUMBER and value[0] in "+-.0123456789":
        raise _Refused(f"it has a number of {len(value):,} characters, {_at(event)}")


def _at(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}"


def read_bounded(path: Path) -> str:
    """Return the text of a regular file of a size that such files have.

    Raises:
        OSError, UnicodeDecodeError: if it can't be read as text.
        UserError: if it is no regular file, or too large.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UserError.of(str(path), "can't be read: it is not a regular file")
    if status.st_size > LARGEST_FILE:
        size, most = status.st_size / 2**20, LARGEST_FILE // 2**20
        raise UserError.of(str(path), f"can't be read: {size:,.0f} MiB, at most {most}")
    return path.read_text(encoding="utf-8")


def _text(path: Path) -> str:
    try:
        return read_bounded(path)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _not_a_number(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError.of(str(path), f"can't be read ({' '.join(str(error).split())})")
