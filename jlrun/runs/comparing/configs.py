"""Differences between the configurations of runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jlrun.reporting.recorders.formats import MISSING
from jlrun.runs.listing.filters import option_names

_TARGET = "_target_"
# How a run is watched and where its files lie changes nothing of what it learns.
_IRRELEVANT = ("recorder", "baselines_cache", "debug")


def config_differences(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return dotted key -> its value in each config, of keys whose values differ.

    Where they chose different options of a group, that is one line, with the values that both have.
    """
    flat = [dict(_flat(config, "")) for config in configs]
    keys = dict.fromkeys(key for each in flat for key in each)
    rows = {key: [_shown(key, each) for each in flat] for key in keys}
    return {
        _title(key): row
        for key, row in rows.items()
        if len(set(row)) > 1 and not _follows(key, flat)
    }


def _flat(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(node, Mapping) or (path and not node):
        yield path, node
        return
    for name, inner in node.items():
        if path or name not in _IRRELEVANT:
            yield from _flat(inner, f"{path}.{name}" if path else str(name))


def _follows(key: str, flat: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a key is absent from some config with the option that it belongs to."""
    if all(key in each for each in flat):
        return False
    group = _title(key).rpartition(".")[0]
    while group:
        if len({each.get(f"{group}.{_TARGET}") for each in flat}) > 1:
            return True
        group = group.rpartition(".")[0]
    return False


def _title(key: str) -> str:
    return key.removesuffix(f".{_TARGET}")


def _shown(key: str, config: Mapping[str, Any]) -> str:
    if key not in config:
        return MISSING
    value = config[key]
    if key.endswith(f".{_TARGET}") and isinstance(value, str):
        return option_names(_title(key), value)[0]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
