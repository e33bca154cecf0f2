"""Build the object a node of a checked config describes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from jlrun.config import trust
from jlrun.config.messages import problems_of
from jlrun.config.signatures import Signature, coerced, read_signature
from jlrun.errors import UserError


def build(node: Mapping[str, Any], *args: Any, **runtime: Any) -> Any:
    """Call the target of ``node`` with its keys as arguments, nested targets built first.

    Args:
        node: with ``_target_``; keys that are not arguments of the target have been removed.
        args: first arguments, known only at run time.
        runtime: further ones; they win over the node's.

    Raises:
        UserError: if the target is not trusted, or refuses its arguments with a ValueError.
    """
    path = str(node["_target_"])
    target = trust.find(path)
    arguments = {key: value for key, value in node.items() if key != "_target_"}
    typed = _typed(path, read_signature(target, len(args)), arguments)
    built = {key: _built(value) for key, value in typed.items()} | runtime
    try:
        return target(*args, **built)
    except UserError:
        raise
    except ValueError as error:
        raise UserError.of(path, " ".join(str(error).split())) from error


def builds(node: Mapping[str, Any], base: type) -> bool:
    """Whether the target of ``node`` is a class derived from ``base``."""
    target = trust.find(str(node["_target_"]))
    return inspect.isclass(target) and issubclass(target, base)


def takes_class_names(node: Mapping[str, Any]) -> bool:
    """Whether the target of ``node`` ends its positional parameters in ``*classes``."""
    parameters = inspect.signature(trust.find(str(node["_target_"]))).parameters.values()
    return any(p.kind is p.VAR_POSITIONAL and p.name == "classes" for p in parameters)


def _typed(path: str, signature: Signature, arguments: Mapping[str, Any]) -> dict[str, Any]:
    typed: dict[str, Any] = {}
    for key, value in arguments.items():
        try:
            typed |= coerced(signature, {key: value})
        except ValidationError as error:
            raise UserError(problems_of(f"{path}.{key}", value, error)) from error
    return typed


def _built(value: Any) -> Any:
    if isinstance(value, Mapping):
        parts = {key: _built(item) for key, item in value.items()}
        return build(parts) if "_target_" in value else parts
    if isinstance(value, list):
        return [_built(item) for item in value]
    return value
