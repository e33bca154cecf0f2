"""Checks that import classes: keys of rows and task gradients, and batches for terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from pydantic import ValidationError

from jlrun.config import trust
from jlrun.config.data_nodes import data_nodes, subset_keys
from jlrun.config.groups import gradient_keys
from jlrun.config.messages import problems_of
from jlrun.config.signatures import coerced, read_signature
from jlrun.data.splits import Subset
from jlrun.errors import Problem, UserError
from jlrun.objective.weightings.base import GradientOptions


def check_subsets(config: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with ``shots``, ``limit`` and the like of each data set."""
    found = (_wrong(Subset, key, node, subset_keys()) for key, node in data_nodes(config).items())
    return sorted((p for problems in found for p in problems), key=lambda problem: problem.where)


def check_gradient_options(config: Mapping[str, Any]) -> list[Problem]:
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


def rows_at_once(config: Mapping[str, Any]) -> int | None:
    """Return the rows of a stream that pass through the model at once; None if unknown."""
    size, engine = config.get("batch_size"), config.get("engine")
    parts = engine.get("accumulate", 1) if isinstance(engine, Mapping) else 1
    if not isinstance(size, int) or not isinstance(parts, int) or parts < 1:
        return None
    return ceil(size / parts)


def check_batch(config: Mapping[str, Any]) -> list[Problem]:
    """Return the terms that would have no other row to compare a row with, and so be 0."""
    rows, terms = rows_at_once(config), config.get("terms")
    if rows is None or rows > 1 or not isinstance(terms, Mapping):
        return []
    empty = [name for name, node in terms.items() if _compares_rows(node)]
    if not empty:
        return []
    names = ", ".join(empty)
    if config["batch_size"] > 1:
        parts = config["engine"]["accumulate"]
        message = f"{parts} micro-batches have one row each; {names} compares rows: use fewer"
        return [Problem("engine.accumulate", message)]
    message = f"1 leaves {names} no other row to compare with, and nothing to learn; use 2 or more"
    return [Problem("batch_size", message)]


def _compares_rows(node: Any) -> bool:
    target = node.get("_target_") if isinstance(node, Mapping) else None
    if not isinstance(target, str):
        return False
    try:
        return bool(getattr(trust.find(target), "compares_rows", False))
    except UserError:  # reported elsewhere
        return False
