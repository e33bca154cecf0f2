"""Bounded readers of YAML and JSON from untrusted files.

A few lines can expand beyond any memory: YAML by aliases of aliases, both formats by nesting that
overflows the stack of a recursive reader. Files that jlrun writes have no aliases, tags, duplicate
keys or deep nesting, so these are errors in files of a run. In a user's YAML aliases are allowed:
their expanded size is counted before they are built.
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
    """Fault of a text, in one line."""


class _PlainLoader(_Parser):
    """PyYAML's safe loader, without duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping.

        Raises:
            ConstructorError: for a duplicate key.
        """
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            raise yaml.constructor.ConstructorError(
                None, None, "a key occurs twice in one mapping", node.start_mark
            )
        return mapping


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file that jlrun wrote.

    Raises:
        UserError: if it can't be read, or has what jlrun does not write: aliases, tags, duplicate
            keys, excessive depth or length.
    """
    text = _text(path)
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise _unreadable(path, error) from error


def parse_yaml(text: str) -> Any:
    """Return the content of a YAML text that jlrun wrote.

    Raises:
        ValueError: if it has what jlrun does not write: aliases, tags, duplicate keys, excessive
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
        UserError: if it can't be read, has numbers outside JSON, or excessive depth or length.
    """
    try:
        return parse_json(_text(path))
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise _unreadable(path, error) from error


def parse_json(text: str) -> Any:
    """Return the content of a text in strict JSON.

    Raises:
        ValueError: if it is not JSON, or too deep.
    """
    try:
        return json.loads(text, parse_constant=_not_a_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def check_expansion(path: Path, most: int = MOST_COMPOSED) -> None:
    """Check that the aliases of a user's YAML expand to a reasonable size.

    Raises:
        UserError: if they don't, or one contains itself; also for excessive depth or length. Other
            faults of the file are left to its reader.
    """
    text = _text(path)
    try:
        _Expansion(most).read(_events(text))
    except yaml.YAMLError:
        return
    except _Refused as error:
        raise _unreadable(path, error) from error


class _Expansion:
    """Counter of the nodes of a YAML text with all aliases expanded."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: list[list[Any]] = [["", 0, 0]]  # of each node: anchor, size, height
        self._known: dict[str, tuple[int, int]] = {}

    def read(self, events: Iterator[yaml.Event]) -> None:
        """Follow all events.

        Raises:
            _Refused: at the first node that is too many, or too deep.
        """
        for event in events:
            if isinstance(event, yaml.AliasEvent):
                if event.anchor not in self._known:
                    raise _Refused(f"the alias *{event.anchor} contains itself")
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
    """Check that a text has nothing that jlrun does not write."""
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
    """Check the length of a number: Python's whole numbers are unbounded and slow to parse."""
    value = event.value
    if event.implicit[0] and len(value) > LARGEST_NUMBER and value[0] in "+-.0123456789":
        raise _Refused(f"it has a number of {len(value):,} characters, {_at(event)}")


def _at(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}"


def read_bounded(path: Path) -> str:
    """Return the text of a regular file of bounded size.

    Raises:
        OSError, UnicodeDecodeError: if it can't be read as text.
        UserError: if it is not a regular file, or too large.
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
