"""Check a resolved config against its schema."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from jlrun.config.messages import problems_of
from jlrun.config.schema import Settings
from jlrun.errors import Problem, did_you_mean

NO_SUCH_KEY = "there is no such key"


def check_schema(config: dict[str, Any]) -> list[Problem]:
    """Return what is wrong with the values that no class takes, and with unknown keys."""
    try:
        Settings.parse(config)
    except ValidationError as error:
        return [_with_nearest(problem) for problem in problems_of("", config, error)]
    return []


def _with_nearest(problem: Problem) -> Problem:
    if problem.message != NO_SUCH_KEY:
        return problem
    *parents, key = problem.where.split(".")
    model: type[BaseModel] | None = Settings
    for part in parents:
        field = model.model_fields.get(part) if model is not None else None
        model = next((a for a in _types(field) if issubclass(a, BaseModel)), None)
    names = [] if model is None else list(model.model_fields)
    return Problem(problem.where, f"{NO_SUCH_KEY}.{did_you_mean(key, names)}")


def _types(field: Any) -> list[type]:
    annotation = getattr(field, "annotation", None)
    members = getattr(annotation, "__args__", (annotation,))
    return [member for member in members if isinstance(member, type)]
