"""Reader of one YAML file of ``conf``: its keys with their defaults and comments, as written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

NO_KEYS = ("defaults", "hydra")
TARGET = "_target_"


@dataclass(frozen=True)
class Key:
    """A key that can be set.

    Attributes:
        name: within the file, with dots: ``text.max_length``.
        default: as written.
        comment: on its line, and on those below it that hold nothing else.
    """

    name: str
    default: str
    comment: str


@dataclass(frozen=True)
class ConfigFile:
    """A file of ``conf``.

    Attributes:
        path: the file.
        text: its content.
        package: of Hydra: ``_global_``, or empty.
        keys: all but those of Hydra and of the class that it builds, in order.
        content: the file, parsed.
    """

    path: Path
    text: str
    package: str
    keys: tuple[Key, ...]
    content: Mapping[str, Any]

    @property
    def targets(self) -> list[str]:
        """Paths of the classes that the file builds, its main one first."""
        return list(dict.fromkeys(_targets(self.content)))

    @property
    def defaults(self) -> list[str | Mapping[str, Any]]:
        """Entries of Hydra's list of defaults, without the file itself."""
        return [entry for entry in self.content.get("defaults", []) if entry != "_self_"]


def read_config(path: Path) -> ConfigFile:
    """Read a YAML file of ``conf``."""
    text = path.read_text(encoding="utf-8")
    package = re.search(r"^# @package (\S+)", text, re.MULTILINE)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert root is None or isinstance(root, yaml.MappingNode), path
    content = yaml.safe_load(text) or {}
    main = next(_targets(content), None)
    found = () if root is None else _keys(root, text, "")
    keys = tuple(k for k in found if not (k.name.endswith(TARGET) and k.default == main))
    return ConfigFile(path, text, package[1] if package else "", keys, content)


def _keys(node: yaml.MappingNode, text: str, prefix: str) -> Iterator[Key]:
    lines = text.splitlines()
    for name, value in node.value:
        if name.value in NO_KEYS:
            continue
        path = f"{prefix}{name.value}"
        if isinstance(value, yaml.MappingNode) and not value.flow_style:
            yield from _keys(value, text, f"{path}.")
            continue
        default = text[value.start_mark.index : value.end_mark.index].strip()
        yield Key(path, " ".join(default.split()), _comment(lines, value.end_mark))


def _comment(lines: list[str], end: yaml.Mark) -> str:
    """Return the comment after a value, and the lines of comment alone that follow it."""
    rest = lines[end.line][end.column :].strip() if end.line < len(lines) else ""
    if not rest.startswith("#"):
        return ""
    parts = [rest]
    for line in lines[end.line + 1 :]:
        if not re.match(r" +#", line):
            break
        parts.append(line.strip())
    return " ".join(part.lstrip("# ") for part in parts)


def _targets(content: Any) -> Iterator[str]:
    if isinstance(content, Mapping):
        if isinstance(content.get("_target_"), str):
            yield content["_target_"]
        for value in content.values():
            yield from _targets(value)
    elif isinstance(content, list):
        for value in content:
            yield from _targets(value)
