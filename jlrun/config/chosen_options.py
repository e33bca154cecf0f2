"""Names of the options that a config was composed of, as they are typed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from jlrun.config.options import package_folder, user_folders


def option_name(group: str, node: Mapping[str, Any]) -> str:
    """Return the option of a group that a node came from: ``none``, not ``NoBalance``.

    Of options of one class, the one that has most values in common with the node; without any, the
    name of the class.

    Args:
        group: folder of the options.
        node: with a ``_target_``.
    """
    target = str(node["_target_"])
    options = {
        name: values
        for folder in (package_folder(), *user_folders())
        for name, values in _options(folder / group, target).items()
    }
    return max(options, key=lambda name: _in_common(options[name], node), default=_class(target))


def _class(target: str) -> str:
    return target.rpartition(".")[2]


def _in_common(values: Mapping[str, Any], node: Mapping[str, Any]) -> int:
    """Return how many values are equal, less those that are not."""
    settled = {k: v for k, v in values.items() if not (isinstance(v, str) and v[:1] in ("$", "?"))}
    return sum(1 if node.get(key) == value else -1 for key, value in settled.items())


@lru_cache(maxsize=256)
def _options(folder: Path, target: str) -> Mapping[str, Mapping[str, Any]]:
    """Return option -> its values, of the options of a class that can be read."""
    paths = (path for path in sorted(folder.glob("*.yaml")) if not path.name.startswith("_"))
    found = {path.stem: _values(path, target) for path in paths}
    return {name: values for name, values in found.items() if values.get("_target_") == target}


def _values(path: Path, target: str) -> Mapping[str, Any]:
    with suppress(OSError, ValueError, yaml.YAMLError):
        text = path.read_text(encoding="utf-8")
        # Parsing YAML takes a thousand times as long as looking for the name.
        values = yaml.safe_load(text) if target in text else {}
        return values if isinstance(values, dict) else {}
    return {}
