"""Check that terms which compare rows are given several of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from jlrun.config import trust
from jlrun.config.data_nodes import data_nodes
from jlrun.errors import Problem, UserError


def rows_at_once(config: Mapping[str, Any]) -> int | None:
    """Return how many rows of a stream pass through the model at once; None if that is not said."""
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
    compare = {name: _compares(node) for name, node in terms.items()}
    streams = _num_streams(config)
    empty = [
        name
        for name, within in compare.items()
        if within == "stream" or (within == "step" and streams < 2)
    ]
    if not empty:
        return []
    size, names = config["batch_size"], ", ".join(empty)
    if size > 1:
        message = f"{size} parts of one row each; {names} compares rows: use a smaller number"
        parts = config["engine"]["accumulate"]
        return [Problem("engine.accumulate", message.replace(str(size), str(parts), 1))]
    message = f"1 leaves {names} no other row to compare with, and nothing to learn; use 2 or more"
    return [Problem("batch_size", message)]


def _num_streams(config: Mapping[str, Any]) -> int:
    pretraining = config.get("pretraining")
    chosen = pretraining.get("data") if isinstance(pretraining, Mapping) else None
    return len(chosen) if isinstance(chosen, list) else len(data_nodes(config))


def _compares(node: Any) -> str | None:
    target = node.get("_target_") if isinstance(node, Mapping) else None
    if not isinstance(target, str):
        return None
    try:
        return getattr(trust.find(target), "compares", None)
    except UserError:  # told of elsewhere
        return None
