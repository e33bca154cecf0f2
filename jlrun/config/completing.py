"""What may follow on a command line, by the folders of options alone: quick, and without Hydra."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from jlrun.config.options import Groups, package_folder, read_groups, user_folders

# A key of a file, at its margin, and its default.
_KEY = re.compile(r"^([A-Za-z]\w*):[ \t]*([^\s#]*)", re.MULTILINE)
_NO_KEYS = frozenset({"defaults", "hydra"})
_BOOLEANS = ("true", "false")
_DATA = ("dataset@source", "dataset@target")


def overrides_like(word: str, before: Sequence[str] = ()) -> list[str]:
    """Return the overrides that begin with ``word``: keys with ``=``, groups of keys with ``.``, or
    values.

    Args:
        word: that is being typed.
        before: the words before it, of which overrides choose options.
    """
    groups = read_groups([*user_folders(), package_folder()])
    if "=" in word:
        key, _, typed = word.partition("=")
        begun, last = _last_value(typed)
        values = _values(key.lstrip("+"), groups)
        return [f"{key}={begun}{value}" for value in values if value.startswith(last)]
    sign = "+" if word.startswith("+") else ""
    found = [key for key in _keys(word.removeprefix(sign), groups, before) if key]
    return sorted({f"{sign}{key}" for key in found if key.startswith(word.removeprefix(sign))})


def _last_value(typed: str) -> tuple[str, str]:
    """Return what is typed of a value, as ``a,b`` or ``[a,b]``: all but the last, and the last."""
    cut = max(typed.rfind(","), typed.rfind("[")) + 1
    last = typed[cut:].lstrip()
    return typed.removesuffix(last) if last else typed, last


def _values(key: str, groups: Groups) -> list[str]:
    group = "dataset" if key in _DATA else key
    if group in groups:
        return [*groups[group], *(("null",) if group == "experiment" else ())]
    node, _, name = key.rpartition(".")
    files = [_root()] if not node else [option.path for option in groups.get(node, {}).values()]
    found = {default for file in files for known, default in _entries(file) if known == name}
    return [*_BOOLEANS] if found & {*_BOOLEANS} else []


def _keys(word: str, groups: Groups, before: Sequence[str]) -> Iterator[str]:
    node, dot, _ = word.rpartition(".")
    if dot:
        yield from (f"{node}.{key}=" for key in _keys_of(node, groups, before))
        return
    yield from (f"{key}=" for key, _ in _entries(_root()))
    for group, options in groups.items():
        if list(options) != ["default"]:
            yield f"{group}="
        if "/" not in group and group not in ("mode", "experiment", "terms"):
            yield f"{group}."
    yield from (f"{key}=" for key in _DATA)
    yield from ("source.", "target.")


def _keys_of(node: str, groups: Groups, before: Sequence[str]) -> Iterator[str]:
    """Yield the keys of a node: of the option that a word chose, else of all of its options."""
    group = "dataset" if node in ("source", "target") else node.replace(".", "/")
    names = (f"dataset@{node}=",) if group != node and "." not in node else (f"{group}=",)
    chosen = [word.partition("=")[2] for word in before if word.startswith(names)]
    options = groups.get(group, {})
    files = [options[name].path for name in chosen if name in options]
    for file in files or [option.path for option in options.values()]:
        yield from (key for key, _ in _entries(file))
        for part in sorted(file.parent.glob("_*.yaml")):
            yield from (key for key, _ in _entries(part))


def _entries(file: Path) -> list[tuple[str, str]]:
    """Return key and default at the margin of a YAML file; none of a file that can't be read."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return []
    return [(key, default) for key, default in _KEY.findall(text) if key not in _NO_KEYS]


def _root() -> Path:
    return package_folder() / "jlrun.yaml"
