"""Nodes of a config for what a program hands in: classes, functions, and plain values."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from jlrun.config import trust
from jlrun.config.given import give
from jlrun.config.slots import Slot
from jlrun.data.written_names import as_written, quoted
from jlrun.errors import UserError

_PLAIN = (bool, int, float, str)


def node_of(where: str, value: Any, slot: Slot) -> dict[str, Any]:
    """Return the node of a class, a function, a `functools.partial` of one, or a mapping.

    Plain defaults of its signature are among the keys, so that the config states them and overrides
    can change them.

    Args:
        where: config path, for errors.
        value: the object; a mapping has it under ``_target_``, and arguments by name.
        slot: what the node must describe.

    Raises:
        UserError: for anything else, such as an instance.
    """
    if isinstance(value, Mapping):
        target = value.get("_target_")
        keys = {str(key): entry for key, entry in value.items() if key != "_target_"}
    elif isinstance(value, partial):
        if value.args:
            name = getattr(value.func, "__name__", "Net")
            fix = f"name its arguments, as in partial({name}, width=64)"
            raise UserError.of(where, f"what comes first is known when the run starts: {fix}")
        target, keys = value.func, dict(value.keywords)
    else:
        target, keys = value, {}
    if isinstance(target, str):
        return {"_target_": target} | _plain_keys(where, keys)
    if not (inspect.isclass(target) or inspect.isroutine(target)):
        raise UserError.of(where, _not_a_class(value, target))
    return {"_target_": path_of(target)} | _defaults(target, slot) | _plain_keys(where, keys)


def path_of(found: Any) -> str:
    """Return the path that names a class or function in a config; one of no package is noted.

    It is the shortest under which a trusted package has it, as in the options of jlrun.
    """
    parts = str(found.__module__).split(".")
    for end in range(1, len(parts) + 1):
        path = ".".join((*parts[:end], found.__qualname__))
        try:
            if trust.find(path) is found:
                return path
        except UserError:
            continue
    return give(found)


def plain(where: str, value: Any) -> Any:
    """Return a value as a config holds it; a class becomes a node, a tuple a list.

    Raises:
        UserError: if a config can't hold it.
    """
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():  # a scalar of NumPy or PyTorch
        value = item()
    if value is None or (isinstance(value, _PLAIN) and _is_finite(value)):
        return value
    if isinstance(value, partial) or inspect.isclass(value) or inspect.isfunction(value):
        return node_of(where, value, Slot("a part"))
    if isinstance(value, Mapping):
        if "_target_" in value and not isinstance(value["_target_"], str):
            return node_of(where, value, Slot("a part"))
        return _plain_keys(where, {str(key): entry for key, entry in value.items()})
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [plain(f"{where}.{i}", entry) for i, entry in enumerate(value)]
    message = f"a value of type {type(value).__name__} can't stand in a config, which is text"
    raise UserError.of(where, message)


def as_override(value: Any) -> str:
    """Return a plain value as it stands in an override."""
    if isinstance(value, Mapping):
        inside = (f"{as_written(key)}: {as_override(entry)}" for key, entry in value.items())
        return f"{{{', '.join(inside)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(as_override, value))}]"
    return quoted(value) if isinstance(value, str) else json.dumps(value)


def targets_in(node: Any) -> Iterator[str]:
    """Yield the paths of all that plain values name to be built."""
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        for value in node.values():
            yield from targets_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets_in(value)


def _plain_keys(where: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    return {key: plain(f"{where}.{key}", value) for key, value in keys.items()}


def _defaults(target: Any, slot: Slot) -> dict[str, Any]:
    """Return the plain defaults of the parameters that a config sets."""
    try:
        parameters = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):  # of what is not written in Python
        return {}
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    first = min(len(slot.given), len(parameters))
    settable = [p for p in parameters[first:] if p.kind in kinds and not p.name.startswith("_")]
    found = {p.name: p.default for p in settable if isinstance(p.default, (*_PLAIN, tuple, list))}
    defaults = {}
    for name, value in found.items():
        try:
            defaults[name] = plain(name, value)
        except UserError:  # left to the signature
            continue
    return defaults


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _not_a_class(value: Any, target: Any) -> str:
    if isinstance(value, Mapping):
        return "name the class or function to build under '_target_'"
    kind = type(target).__name__
    return (
        f"an object of type {kind}, which a run can't build anew for baselines and other processes:"
        f" give the class, {kind}, or functools.partial({kind}, …) with its arguments by name"
    )
