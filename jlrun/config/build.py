"""Build the object a node of a checked config describes."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from jlrun.config import trust
from jlrun.config.fitness import demand, returned_class, unfit
from jlrun.config.messages import problems_of
from jlrun.config.signatures import Signature, coerced, read_signature, unknown_keys
from jlrun.config.slots import DATASET, PART, Slot
from jlrun.errors import RunError, UserError

T = TypeVar("T")


def build(node: Mapping[str, Any], slot: Slot, *args: Any, **runtime: Any) -> Any:
    """Call the target of ``node`` with its keys as arguments, nested targets built first.

    Args:
        node: with ``_target_``; keys that are not arguments of the target have been removed.
        slot: what the node must describe.
        args: first arguments, known only at run time.
        runtime: further ones; they win over the node's.

    Raises:
        UserError: before anything is called, if the target is not trusted or not what the slot
            demands, or takes no such keys; if it refuses its arguments with a ValueError, or
            returns something else.
    """
    path = _path(node, slot)
    target = trust.find(path)
    wrong = unfit(target, slot)
    if wrong:
        raise UserError.of("", f"'{path}' {wrong}")
    arguments = {key: value for key, value in node.items() if key != "_target_"}
    signature = read_signature(target, len(args))
    unknown = list(unknown_keys(path, arguments, signature, target))
    if unknown:
        raise UserError(unknown)
    typed = _typed(path, signature, arguments)
    built = {key: _built(v, slot.parts.get(key, PART)) for key, v in typed.items()} | runtime
    _check_complete(path, target, args, built)
    try:
        return demand(target(*args, **built), path, slot)
    except UserError:
        raise
    except ValueError as error:
        raise UserError.of(path, " ".join(str(error).split())) from error
    except Exception as error:
        if slot is not DATASET or not trust.is_own(target) or isinstance(error, RunError | OSError):
            raise
        raise UserError.of(path, _own_fault(error)) from error


def _own_fault(error: Exception) -> str:
    """Return what a function of the user's raised, and where."""
    place = traceback.extract_tb(error.__traceback__)[1:]  # after the call of it
    where = f" at {place[-1].filename}:{place[-1].lineno}" if place else ""
    in_it = f", called at line {place[0].lineno}" if len(place) > 1 else ""
    return f"raised {type(error).__name__}: {' '.join(str(error).split())}{where}{in_it}"


def _path(node: Mapping[str, Any], slot: Slot) -> str:
    path = node.get("_target_") if isinstance(node, Mapping) else None
    if not isinstance(path, str):
        raise UserError.of("", f"there is a node without a _target_ where {slot.what} is described")
    return path


def _check_complete(path: str, target: Any, args: Any, built: Mapping[str, Any]) -> None:
    try:
        inspect.signature(target).bind(*args, **built)
    except TypeError as error:
        raise UserError.of(path, str(error)) from error


def class_of(node: Mapping[str, Any], base: type[T]) -> type[T]:
    """Return the class of what ``node`` describes, which states what it needs; nothing is built.

    Of a function that is the class in its annotation. It is ``base`` where it is not derived from
    that, or not known.
    """
    target = trust.find(str(node["_target_"]))
    found = target if inspect.isclass(target) else returned_class(target)
    return found if found is not None and issubclass(found, base) else base


def builds(node: Mapping[str, Any], base: type) -> bool:
    """Return whether the class of what ``node`` describes is derived from ``base``."""
    return issubclass(class_of(node, object), base)


def arguments_with_defaults(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return keyword -> argument of the target of ``node``, the defaults of its signature too."""
    parameters = inspect.signature(trust.find(str(node["_target_"]))).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return defaults | {key: value for key, value in node.items() if key != "_target_"}


def takes_class_names(node: Mapping[str, Any]) -> bool:
    """Return whether the target of ``node`` ends its positional parameters in ``*classes``."""
    parameters = inspect.signature(trust.find(str(node["_target_"]))).parameters.values()
    return any(p.kind is p.VAR_POSITIONAL and p.name == "classes" for p in parameters)


def takes(node: Mapping[str, Any], name: str) -> bool:
    """Return whether the target of ``node`` has a parameter of that name."""
    return name in inspect.signature(trust.find(str(node["_target_"]))).parameters


def _typed(path: str, signature: Signature, arguments: Mapping[str, Any]) -> dict[str, Any]:
    typed: dict[str, Any] = {}
    for key, value in arguments.items():
        try:
            typed |= coerced(signature, {key: value})
        except ValidationError as error:
            raise UserError(problems_of(f"{path}.{key}", value, error)) from error
    return typed


def _built(value: Any, slot: Slot) -> Any:
    if isinstance(value, Mapping):
        if "_target_" in value:
            return build(value, slot)
        return {key: _built(item, PART) for key, item in value.items()}
    if isinstance(value, list):
        return [_built(item, PART) for item in value]
    return value
