"""Find every problem of a config before any work, and raise them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from jlrun.config.compose import Composed, as_composed, hydra_state, load, make_loader
from jlrun.config.messages import problems_of
from jlrun.config.names import find_names
from jlrun.config.parts import check_parts, datasets
from jlrun.config.schema import Settings
from jlrun.config.slots import places, subset_keys
from jlrun.errors import Problem, UserError, did_you_mean

_NO_SUCH_KEY = "there is no such key"
_BUILT = frozenset(
    {"optimizer", "scheduler", "heads", "weighting", "fusion", "terms", "backbone"}
    | {"dataset", "source", "target"}
)


def checked(overrides: Sequence[str], config_dir: str | None = None) -> Composed:
    """Compose a config that nothing is wrong with.

    Raises:
        UserError: with all problems: names first, then values.
    """
    with hydra_state():
        loader = make_loader(config_dir)
        names = find_names(loader, overrides)
        problems = list(names.problems)
        if not names.composable:
            raise UserError(_distinct(problems))
        try:
            composed = as_composed(load(loader, names.overrides), list(overrides))
        except UserError as error:
            raise UserError(_distinct([*problems, *error.problems])) from error
    problems += _cheap_problems(composed.config, names.overrides)
    rejected = bool(names.problems) or any(_NO_SUCH_KEY in p.message for p in problems)
    if not rejected or _sets_arguments(names.overrides):
        problems += signature_problems(composed.config)
    if problems:
        raise UserError(_distinct(problems))
    return composed


def check_names(overrides: Composed | Sequence[str]) -> list[Problem]:
    """Return the overrides whose group, option or key does not exist, without importing PyTorch."""
    texts = overrides.overrides if isinstance(overrides, Composed) else overrides
    with hydra_state():
        return find_names(make_loader(), texts).problems


def check_values(config: dict[str, Any]) -> list[Problem]:
    """Return what is wrong with a resolved config: types, ranges, targets, and what cannot go
    together."""
    return _distinct([*_cheap_problems(config, ()), *signature_problems(config)])


def signature_problems(config: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the nodes that name a class, imported for that."""
    from jlrun.config.signatures import check_place

    problems = [problem for place in places(config) for problem in check_place(place)]
    return [*problems, *_subset_problems(config)]


def _cheap_problems(config: dict[str, Any], overrides: Sequence[str]) -> list[Problem]:
    """Return what can be said without importing PyTorch."""
    problems = [Problem(path, f"must be set: {path}=…") for path in _unset(config)]
    try:
        Settings.parse(config)
    except ValidationError as error:
        found = problems_of("", config, error)
        told = {problem.where for problem in problems}
        problems += [_with_nearest(problem) for problem in found if problem.where not in told]
    return [*problems, *check_parts(config, overrides)]


def _subset_problems(config: Mapping[str, Any]) -> list[Problem]:
    from jlrun.config.signatures import coerced, read_signature
    from jlrun.data.splits import Subset

    signature, keys, problems = read_signature(Subset, 0), subset_keys(), []
    for key, node in datasets(config).items():
        for name in keys & node.keys():
            try:
                coerced(signature, {name: node[name]})
            except ValidationError as error:
                problems += problems_of(f"{key}.{name}", node[name], error)
    return sorted(problems, key=lambda problem: problem.where)


def _with_nearest(problem: Problem) -> Problem:
    if problem.message != _NO_SUCH_KEY:
        return problem
    *parents, key = problem.where.split(".")
    model: type[BaseModel] | None = Settings
    for part in parents:
        field = model.model_fields.get(part) if model is not None else None
        model = next((a for a in _types(field) if issubclass(a, BaseModel)), None)
    names = [] if model is None else list(model.model_fields)
    return Problem(problem.where, f"{_NO_SUCH_KEY}.{did_you_mean(key, names)}")


def _types(field: Any) -> list[type]:
    annotation = getattr(field, "annotation", None)
    members = getattr(annotation, "__args__", (annotation,))
    return [member for member in members if isinstance(member, type)]


def _unset(config: Any, path: str = "") -> list[str]:
    """Return the paths of values that are still ``???``."""
    if isinstance(config, Mapping):
        items = [(str(key), value) for key, value in config.items()]
    elif isinstance(config, list):
        items = [(str(i), value) for i, value in enumerate(config)]
    else:
        return [path] if config == "???" else []
    return [p for key, value in items for p in _unset(value, f"{path}.{key}".lstrip("."))]


def _sets_arguments(overrides: Sequence[str]) -> bool:
    """Whether an override sets a value that only the signature of some class can judge."""
    keys = [override.lstrip("+~").partition("=")[0] for override in overrides]
    return any("." in key and key.partition(".")[0] in _BUILT for key in keys)


def _distinct(problems: Sequence[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))
