"""Find the overrides of values whose key does not exist."""

from __future__ import annotations

from typing import Any

from hydra._internal.config_repository import IConfigRepository
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf._utils import split_key

from jlrun.config.suggest import elsewhere, paths_ending_in
from jlrun.errors import Problem, did_you_mean


def key_problem(
    base: DictConfig, repository: IConfigRepository, override: Override
) -> Problem | None:
    """Say what is wrong with the key of ``override``, given the config without any values set.

    Keys added with ``+`` or ``++`` may be new here; whether they mean something is for the checks
    of values.
    """
    key = override.key_or_group
    if override.package is not None or "/" in key:
        return _no_such_group(base, override)
    group = key.replace(".", "/")
    if isinstance(override.value(), str) and "." in key and repository.group_exists(group):
        return Problem(key, f"to choose an option, write {group}={override.value()}")
    missing = _first_missing(base, split_key(key))
    if override.is_force_add():
        return None
    if override.is_add():
        exists = missing is None and not isinstance(override.value(), dict | list)
        return Problem(key, "it exists already: write it without the +") if exists else None
    return None if missing is None else _no_such_key(base, key, missing)


def _first_missing(base: DictConfig, parts: list[str]) -> int | None:
    """Return the position of the first part of a key that the config lacks."""
    node: Any = base
    for position, part in enumerate(parts):
        if isinstance(node, ListConfig):
            if not (part.isdigit() and int(part) < len(node)):
                return position
            node = node._get_node(int(part))
        elif isinstance(node, DictConfig) and not node._is_none() and part in node:
            node = node._get_node(part)
        else:
            return position
    return None


def _no_such_key(base: DictConfig, key: str, missing: int) -> Problem:
    parts = split_key(key)
    if missing == 0 or (parts[0] == "terms" and missing == 1):
        hint = elsewhere(key, str(OmegaConf.select(base, "mode")))
        if hint:
            return Problem(key, hint)
    if missing:
        parent = OmegaConf.select(base, ".".join(parts[:missing]), throw_on_missing=False)
        names = [str(name) for name in parent] if isinstance(parent, DictConfig) else []
        suggestion = did_you_mean(parts[missing], [n for n in names if not n.startswith("_")])
        return Problem(key, f"there is no key '{parts[missing]}'.{suggestion}")
    plain = OmegaConf.to_container(base, resolve=False)
    assert isinstance(plain, dict)
    tree = {str(name): value for name, value in plain.items() if name != "hydra"}
    deeper = paths_ending_in(parts[-1], tree)[:3]
    if deeper:
        return Problem(key, f"there is no such key. Did you mean {_either(deeper)}?")
    known = dict.fromkeys([*tree, *_groups(base)])
    return Problem(key, f"there is no such key.{did_you_mean(parts[0], known)}")


def _no_such_group(base: DictConfig, override: Override) -> Problem:
    key = override.get_key_element().lstrip("+~")
    dotted = override.key_or_group.replace("/", ".")
    if OmegaConf.select(base, dotted, throw_on_missing=False) is not None:
        return Problem(key, f"it is a value: write {dotted}=…")
    return Problem(key, f"there is no group '{key}'.{did_you_mean(key, _groups(base))}")


def _groups(base: DictConfig) -> list[str]:
    choices = [str(choice) for choice in base.hydra.runtime.choices]
    return [choice for choice in choices if not choice.startswith("hydra/")]


def _either(names: list[str]) -> str:
    return " or ".join(f"'{name}'" for name in names)
