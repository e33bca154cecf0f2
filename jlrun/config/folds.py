"""Cross-validation in a config: which data set has folds, and which of them a run is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from jlrun.config.nodes import data_nodes
from jlrun.errors import Problem

Config = Mapping[str, Any]

_STRATEGIES = (None, "finetune", "joint")


def folded(config: Config) -> str | None:
    """Return the config path of the data set whose folds are all to be run; None: no such."""
    for path, node in data_nodes(config).items():
        if node.get("folds") is not None and node.get("fold") is None:
            return path
    return None


def num_folds(config: Config, path: str) -> int:
    """Return how many fits the folds of a data set ask for, all repeats together."""
    node = data_nodes(config)[path]
    return int(node["folds"]) * int(node["repeats"])


def of_fold(config: Config, path: str, fold: int, values: Sequence[Config] = ()) -> dict[str, Any]:
    """Return the config of one fold alone.

    Args:
        config: of all folds.
        path: of the data set that has them.
        fold: its number.
        values: of each fold that differ from the config; empty: all have the same.
    """
    own = values[fold] if values else {}
    found: dict[str, Any] = deepcopy({**config, **own})
    found[path]["fold"] = fold
    return found


def check_folds(config: Config) -> Iterator[Problem]:
    """Yield what is wrong with folds; values of a wrong type are left to their signature."""
    for path, node in data_nodes(config).items():
        folds, repeats, fold = (node.get(key) for key in ("folds", "repeats", "fold"))
        if folds is None:
            if fold is not None:
                yield Problem(f"{path}.fold", f"there are no folds; set {path}.folds, as in 5")
            if repeats not in (1, None):
                yield Problem(f"{path}.repeats", f"there are no folds; set {path}.folds, as in 5")
            continue
        if path not in ("dataset", "target"):
            message = "one data set, or the target of a transfer, has folds; leave it out here"
            yield Problem(f"{path}.folds", message)
        elif config.get("strategy") not in _STRATEGIES:
            message = f"strategy={config['strategy']} trains on no label of the target; use null"
            yield Problem(f"{path}.folds", message)
        elif node.get("time_by") is not None and repeats != 1:
            message = "folds by time are not drawn: all repeats would be the same; use 1"
            yield Problem(f"{path}.repeats", message)
        elif all(type(v) is int for v in (folds, repeats, fold)) and fold >= folds * repeats:
            message = f"{fold} is too large: {folds * repeats} folds are numbered from 0"
            yield Problem(f"{path}.fold", message)
