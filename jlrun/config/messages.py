"""Turn pydantic's errors into one line each: config path, value found, what was expected."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from jlrun.config.nodes import shown
from jlrun.config.schema import Settings
from jlrun.data.written_names import quoting
from jlrun.errors import Problem, did_you_mean

_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list, as in [a,b]",
    "tuple": "a list, as in [a,b]",
    "set": "a list, as in [a,b]",
    "dict": "a group of keys",
    "model": "a group of keys",
    "mapping": "a group of keys",
    "none": "null",
    "finite": "a finite number",
}

_CLASSES = frozenset({"is_instance_of", "needs_python_object"})

_LIMITS: dict[str, tuple[str, str]] = {
    "greater_than_equal": ("ge", "is too small: at least {}"),
    "greater_than": ("gt", "is too small: more than {}"),
    "less_than_equal": ("le", "is too large: at most {}"),
    "less_than": ("lt", "is too large: less than {}"),
    "too_short": ("min_length", "is too short: at least {}"),
    "too_long": ("max_length", "is too long: at most {}"),
}


def validate(adapter: TypeAdapter[Any], value: Any) -> Any:
    """Return ``value`` as the adapter's type, without turning text into numbers or the like.

    Raises:
        ValidationError: if it is of another type or out of range.
    """
    # As JSON, because only there strictness lets a list stand for a tuple, as YAML needs.
    return adapter.validate_json(json.dumps(value, default=str), strict=True)


def problems_of(where: str, value: Any, error: ValidationError) -> list[Problem]:
    """Return one problem per place in ``value``, the config node at ``where``."""
    places: dict[str, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        path = ".".join(part for part in (where, *_location(value, detail)) if part)
        places.setdefault(path, []).append(detail)
    for path in [path for path, details in places.items() if details[0]["type"] == "too_short"]:
        if any(other.startswith(f"{path}.") for other in places):
            del places[path]  # pydantic does not count members that are wrong themselves
    return [Problem(path, _message(path, details, value)) for path, details in places.items()]


def _location(value: Any, detail: ErrorDetails) -> list[str]:
    """Return the parts of an error's location that are keys, not the names of union members."""
    parts, missing = list[str](), detail["type"] == "missing"
    for position, part in enumerate(detail["loc"], start=1):
        if _holds(value, part):
            value = value[part]
        elif not missing or position < len(detail["loc"]) or not isinstance(value, Mapping):
            continue
        parts.append(str(part))
    return parts


def _holds(value: Any, part: int | str) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, Mapping) and part in value


def _message(path: str, details: list[ErrorDetails], value: Any) -> str:
    # A member that is some class, such as Tensor, cannot be written in a config.
    details = [d for d in details if d["type"] not in _CLASSES] or details
    for describe in (_missing, _unknown, _choice, _limit, _custom):
        for detail in details:
            message = describe(path, detail)
            if message:
                return message
    kinds = dict.fromkeys(_expected(detail) for detail in details)
    found = details[0]["input"]
    listed = isinstance(found, str) and any("list" in kind for kind in kinds)
    hint = f": write {path.rpartition('.')[2]}=[{found}]" if listed else ""
    if "text" in kinds and isinstance(found, int | float):
        hint = f"; {quoting(path, str(shown(found)))}"
    return f"{shown(found)} is not {' or '.join(kinds)}{hint}"


def _missing(path: str, detail: ErrorDetails) -> str:
    if detail["type"] != "missing":
        return ""
    inside_list = bool(detail["loc"]) and isinstance(detail["loc"][-1], int)
    return f"{shown(detail['input'])} has too few values" if inside_list else "is missing"


def _unknown(path: str, detail: ErrorDetails) -> str:
    extra = ("extra_forbidden", "unexpected_keyword_argument")
    return "there is no such key" if detail["type"] in extra else ""


def _choice(path: str, detail: ErrorDetails) -> str:
    if detail["type"] != "literal_error":
        return ""
    expected = str(detail.get("ctx", {}).get("expected", ""))
    choices = [part.strip(" '") for part in expected.replace(" or ", ", ").split(",")]
    suggestion = did_you_mean(str(detail["input"]), choices)
    listed = "" if "Choose from" in suggestion else f" Choose from: {', '.join(choices)}."
    return f"there is no choice {shown(detail['input'])}.{suggestion}{listed}"


def _limit(path: str, detail: ErrorDetails) -> str:
    if detail["type"] not in _LIMITS:
        return ""
    key, text = _LIMITS[detail["type"]]
    limit = detail.get("ctx", {}).get(key)
    number = int(limit) if isinstance(limit, float) and limit.is_integer() else limit
    return f"{shown(detail['input'])} {text.format(number)}"


def _custom(path: str, detail: ErrorDetails) -> str:
    if detail["type"] != "value_error":
        return ""
    return f"{shown(detail['input'])} {detail['msg'].removeprefix('Value error, ')}"


def _expected(detail: ErrorDetails) -> str:
    kind = detail["type"].split("_")[0]
    if detail["type"] in _CLASSES:
        return "something a config can hold"
    return _EXPECTED.get(kind, detail["msg"][0].lower() + detail["msg"][1:])


NO_SUCH_KEY = "there is no such key"


def check_schema(config: dict[str, Any]) -> list[Problem]:
    """Return what is wrong with the values that no class takes, and with unknown keys."""
    try:
        Settings.parse(config)
    except ValidationError as error:
        return [_with_nearest(problem) for problem in problems_of("", config, error)]
    return []


def _with_nearest(problem: Problem) -> Problem:
    *parents, _ = problem.where.split(".")
    model: type[BaseModel] | None = Settings
    for part in parents:
        field = model.model_fields.get(part) if model is not None else None
        model = next((a for a in _types(field) if issubclass(a, BaseModel)), None)
    return with_suggestion(problem, () if model is None else tuple(model.model_fields))


def with_suggestion(problem: Problem, names: Iterable[str]) -> Problem:
    """Return the problem of an unknown key with the nearest of the keys that there are."""
    if problem.message != NO_SUCH_KEY:
        return problem
    hint = did_you_mean(problem.where.rpartition(".")[2], names)
    return Problem(problem.where, f"{NO_SUCH_KEY}.{hint}")


def _types(field: Any) -> list[type]:
    annotation = getattr(field, "annotation", None)
    members = getattr(annotation, "__args__", (annotation,))
    return [member for member in members if isinstance(member, type)]
