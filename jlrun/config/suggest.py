"""Suggestions for a name that does not exist where it was found: near names, other modes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jlrun.config.groups import GROUPS

# Key -> the strategies of mode=transfer that have it; none: all.
_TRANSFER_ONLY: Mapping[str, tuple[str, ...]] = {
    "sources": (),
    "source_weights": (),
    "pretrain_epochs": ("finetune", "adapt", "generalize"),
    "adapt": ("adapt", "generalize"),
    **{group.name: group.strategies for group in GROUPS if group.mode == "transfer"},
}
_MULTITASK_ONLY = {
    "datasets": "only mode=multitask takes several data sets, as datasets=[a,b]",
    **{g.name: "only mode=multitask has it" for g in GROUPS if g.mode == "multitask"},
}


def nearest(found: str, valid: Iterable[str]) -> str | None:
    """Return the valid name most like ``found``, or None if none is near."""
    near = difflib.get_close_matches(found, list(valid), n=1, cutoff=0.6)
    return near[0] if near else None


def elsewhere(key: str, mode: str) -> str:
    """Return which mode or choice has ``key``, a known name that this config lacks; else ''."""
    root = key.split(".")[0]
    group, _, package = root.partition("@")
    if mode == "transfer" and root == "dataset":
        return (
            "mode=transfer takes dataset@source and dataset@target, "
            "and their values as source.… and target.…"
        )
    if mode != "transfer" and (group in {"source", "target"} or package in {"source", "target"}):
        return f"mode={mode} takes dataset, and its values as dataset.…"
    if mode != "multitask" and group in _MULTITASK_ONLY:
        return f"{_MULTITASK_ONLY[group]}, and this is mode={mode}"
    if group in _TRANSFER_ONLY and mode != "transfer":
        return f"only mode=transfer has it, and this is mode={mode}"
    if group in _TRANSFER_ONLY:
        return f"only strategy={' or '.join(_TRANSFER_ONLY[group])} has it"
    if group == "terms":
        return "choose the term first, as in terms=[l2]; `jlrun ls terms` lists them"
    return ""


def paths_ending_in(name: str, config: Mapping[str, Any]) -> list[str]:
    """Return the config paths whose last part is ``name``."""
    return [path for path in _paths(config) if path.rpartition(".")[2] == name]


def leaves(config: Mapping[str, Any]) -> list[str]:
    """Return the last parts of all config paths."""
    return list(dict.fromkeys(path.rpartition(".")[2] for path in _paths(config)))


def _paths(config: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in config.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{key}.")
