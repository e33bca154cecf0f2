"""Check what every data set's node must hold beside the arguments of its target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jlrun.config.data_nodes import data_nodes, infers, subset_keys
from jlrun.config.messages import shown
from jlrun.errors import Problem

Config = Mapping[str, Any]


def check_data_parts(config: Config) -> Iterator[Problem]:
    """Yield the tasks and the augmentation that nothing can be built from, and deleted keys."""
    for path, node in data_nodes(config).items():
        fix = "to switch it off, set its values to 0, as in the options of the data set"
        yield from _buildable(f"{path}.augment", node.get("augment"), fix)
        tasks = node.get("tasks")
        inferred = infers(node)
        for name, task in tasks.items() if isinstance(tasks, Mapping) else ():
            fix = f"to leave a task out, name the others in tasks=[…], or ~{path}.tasks.{name}"
            yield from () if inferred else _buildable(f"{path}.tasks.{name}", task, fix)
        for key in sorted(subset_keys() - node.keys()):
            yield Problem(f"{path}.{key}", "is missing; every data set has it, see `jlrun ls`")


def _buildable(path: str, node: Any, fix: str) -> Iterator[Problem]:
    if not isinstance(node, Mapping):
        yield Problem(path, f"{shown(node)} is not a group of keys with a _target_; {fix}")
    elif not isinstance(node.get("_target_"), str):
        yield Problem(path, f"has no _target_, the path of what it builds; {fix}")
