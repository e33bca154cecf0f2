"""Checks of nodes against the signatures of what they name, without calling it.

Keys of rows, of task gradients and of batches are checked in the same way.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from math import ceil
from typing import Any, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from jlrun.config import trust
from jlrun.config.fitness import unfit
from jlrun.config.groups import Place, gradient_keys
from jlrun.config.messages import problems_of, validate, with_suggestion
from jlrun.config.nodes import data_nodes, subset_keys
from jlrun.config.slots import PART, Slot
from jlrun.config.suggest import nearest
from jlrun.data.splits import Subset
from jlrun.errors import Problem, UserError
from jlrun.objective.weightings.base import GradientOptions

_FINITE = ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Parameter:
    """A parameter that a config may set.

    Attributes:
        adapter: of its type; None where it has none that a config value can be checked against.
        keys: of the groups of keys that its type names.
    """

    name: str
    required: bool
    adapter: TypeAdapter[Any] | None
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Signature:
    """Signature of a target: the arguments that a config may pass to it.

    Attributes:
        num_given: number of first parameters that are left to the run.
        given: names of those, as far as they have any.
        open: whether it takes any other keyword too.
    """

    num_given: int
    given: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    open: bool


def check_place(place: Place) -> list[Problem]:
    """Return what is wrong with a node: its target, its keys and their values."""
    where = f"{place.path}._target_"
    try:
        target = trust.find(str(place.node["_target_"]))
    except UserError as error:
        return [Problem(where, problem.message) for problem in error.problems]
    wrong = unfit(target, place.slot)
    if wrong:
        return [Problem(where, f"'{place.node['_target_']}' {wrong}")]
    arguments = arguments_of(place.node, place.reserved)
    signature = read_signature(target, len(place.slot.given))
    wrong = _not_left_to_the_run(target, signature, place.slot.given, arguments)
    if wrong:
        return [Problem(where, wrong)]
    problems = [
        *unknown_keys(place.path, arguments, signature, target),
        *_missing_keys(place.path, arguments, signature, target),
        *_wrong_values(place.path, arguments, signature),
        *_nested(place.path, arguments, place.slot.parts),
    ]
    if not problems and trust.top_package(target) == "torch" and place.slot.what == "an optimizer":
        problems = _refused_by_optimizer(place.path, target, arguments)
    return problems


def _not_left_to_the_run(
    target: Any, signature: Signature, given: Sequence[str], arguments: Mapping[str, Any]
) -> str:
    """Return how the first parameters differ from those that the run passes; '' if they do not."""
    expected = " and ".join(given)
    first = signature.given
    set_here = [name for name in first if name in arguments and name not in given]
    if signature.num_given < len(given):
        return f"{target.__name__} must take {expected} first, given at run time"
    if set_here:
        begins = ", ".join(first)
        return (
            f"{target.__name__} must take {expected} first, given at run time, and its parameters "
            f"begin with {begins}: put {expected} before '{set_here[0]}'"
        )
    return ""


def arguments_of(node: Mapping[str, Any], reserved: frozenset[str]) -> dict[str, Any]:
    """Return the keys of a node that are arguments of its target."""
    return {key: value for key, value in node.items() if key not in {"_target_", *reserved}}


def read_signature(target: Any, given: int) -> Signature:
    """Return what a config may pass to ``target``, whose first ``given`` parameters it may not."""
    parameters = list(inspect.signature(target).parameters.values())
    if getattr(getattr(target, "__init__", None), "__module__", "") == "torch.nn.modules.module":
        parameters = []  # that of `torch.nn.Module` accepts arguments only to refuse them
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    at_run_time = tuple(p.name for p in positional[:given])
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    settable = [
        p
        for p in parameters
        if p.name not in at_run_time and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    return Signature(
        given if takes_any else len(at_run_time),
        at_run_time,
        {p.name: _parameter(target, p) for p in settable},
        open=any(p.kind is p.VAR_KEYWORD for p in parameters),
    )


def coerced(signature: Signature, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments as the types the signature names, for example lists as tuples.

    Raises:
        ValidationError: if a value is of another type.
    """
    result: dict[str, Any] = {}
    for key, value in arguments.items():
        parameter = signature.parameters.get(key)
        adapter = None if parameter is None or _has_target(value) else parameter.adapter
        result[key] = value if adapter is None else validate(adapter, value)
    return result


def _parameter(target: Any, parameter: inspect.Parameter) -> Parameter:
    name, required, annotation = parameter.name, parameter.default is parameter.empty, None
    if parameter.annotation is parameter.empty:
        return Parameter(name, required, None)
    annotation = parameter.annotation
    if isinstance(annotation, str):
        annotation = _evaluated(target, annotation)
    return Parameter(name, required, _adapter(annotation), _keys_of(annotation))


def _keys_of(annotation: Any) -> tuple[str, ...]:
    """Return the fields of the dataclasses among the members of a type."""
    members = [m for m in (get_args(annotation) or (annotation,)) if isinstance(m, type)]
    return tuple(field.name for m in members if is_dataclass(m) for field in fields(m))


def _adapter(annotation: Any) -> TypeAdapter[Any] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return TypeAdapter(annotation, config=_FINITE)
        except PydanticUserError:
            pass
        try:  # dataclasses and the like bring their own config
            return TypeAdapter(annotation)
        except PydanticUserError:
            return None


def _evaluated(target: Any, annotation: str) -> Any:
    """Return the type an annotation names, or Any where it is only known to type checkers."""
    for owner in inspect.getmro(target) if inspect.isclass(target) else (target,):
        module = sys.modules.get(owner.__module__)
        try:
            return eval(annotation, dict(vars(module)) if module else {})
        except (NameError, AttributeError, TypeError, SyntaxError):
            continue
    return Any


def unknown_keys(
    path: str, arguments: Mapping[str, Any], signature: Signature, target: Any
) -> Iterator[Problem]:
    """Yield the keys of a node that its target does not take."""
    for key in arguments:
        key = str(key)
        where = f"{path}.{key}"
        if key.startswith("_"):
            yield Problem(where, "keys that begin with _ are not supported; only _target_ is")
        elif key not in signature.parameters and not signature.open:
            near = nearest(key, signature.parameters)
            suggestion = f"Did you mean '{near}'? " if near else ""
            message = f"{target.__name__} takes no '{key}'. {suggestion}To leave it out: ~{where}"
            yield Problem(where, message)


def _missing_keys(
    path: str, arguments: Mapping[str, Any], signature: Signature, target: Any
) -> Iterator[Problem]:
    for parameter in signature.parameters.values():
        if parameter.required and parameter.name not in arguments:
            where = f"{path}.{parameter.name}"
            yield Problem(where, f"{target.__name__} needs it: add +{where}=…")


def _wrong_values(
    path: str, arguments: Mapping[str, Any], signature: Signature
) -> Iterator[Problem]:
    for key, value in arguments.items():
        try:
            coerced(signature, {key: value})
        except ValidationError as error:
            for problem in problems_of(f"{path}.{key}", value, error):
                yield with_suggestion(problem, signature.parameters[key].keys)


def _nested(
    path: str, arguments: Mapping[str, Any], slots: Mapping[str, Slot] | None = None
) -> Iterator[Problem]:
    for key, value in arguments.items():
        slot = (slots or {}).get(key, PART)
        if isinstance(value, Mapping) and "_target_" in value:
            yield from check_place(Place(f"{path}.{key}", value, slot))
        elif isinstance(value, Mapping):
            yield from _nested(f"{path}.{key}", value)
        elif isinstance(value, list):
            yield from _nested(f"{path}.{key}", {str(i): item for i, item in enumerate(value)})


def _has_target(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "_target_" in value or any(_has_target(item) for item in value.values())
    return isinstance(value, list) and any(_has_target(item) for item in value)


def _refused_by_optimizer(path: str, target: Any, arguments: Mapping[str, Any]) -> list[Problem]:
    """Build the optimizer over one number: PyTorch checks ranges there, not in the signature."""
    import torch

    from jlrun.optimizers import keep_out_of_compile, stepper

    keep_out_of_compile()
    number = torch.nn.Parameter(torch.zeros(()))
    try:
        optimizer = target([number], **arguments)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        return [Problem(path, " ".join(str(error).split()))]
    number.grad = torch.ones(())
    try:
        stepper(optimizer)()
    except Exception as error:  # one that needs more than a gradient is no mistake
        if "overflow" not in str(error):
            return []
        rate = arguments.get("lr")
        return [Problem(f"{path}.lr", f"{rate} is too large: a step with it is not finite")]
    return []


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
