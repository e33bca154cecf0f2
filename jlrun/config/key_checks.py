"""Check the keys of nodes that are not arguments of their class: rows, and task gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from jlrun.config.data_nodes import data_nodes, subset_keys
from jlrun.config.groups import gradient_keys
from jlrun.config.messages import problems_of
from jlrun.config.signatures import coerced, read_signature
from jlrun.data.splits import Subset
from jlrun.errors import Problem
from jlrun.objective.weightings.gradient_options import GradientOptions


def check_subsets(config: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with ``shots``, ``limit`` and the like of each data set."""
    found = (_wrong(Subset, key, node, subset_keys()) for key, node in data_nodes(config).items())
    return sorted((p for problems in found for p in problems), key=lambda problem: problem.where)


def check_route(config: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with ``weighting.gradients`` and the like."""
    node = config.get("weighting")
    if not isinstance(node, Mapping):
        return []
    return sorted(
        _wrong(GradientOptions, "weighting", node, gradient_keys()),
        key=lambda problem: problem.where,
    )


def _wrong(
    owner: type, path: str, node: Mapping[str, Any], keys: frozenset[str]
) -> Iterator[Problem]:
    signature = read_signature(owner, 0)
    for name in keys & node.keys():
        try:
            coerced(signature, {name: node[name]})
        except ValidationError as error:
            yield from problems_of(f"{path}.{name}", node[name], error)
