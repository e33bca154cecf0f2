"""Find every problem of a config before any work, and raise them together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jlrun.config.compose import Composed, as_composed, hydra_state, load, make_loader, resolved
from jlrun.config.groups import GROUPS, places
from jlrun.config.names import Names, find_names
from jlrun.config.nodes import data_nodes, infers, shown, subset_keys
from jlrun.config.parts import check_parts
from jlrun.config.tables import with_tables
from jlrun.errors import Problem, UserError

_NO_SUCH_KEY = "there is no such key"
_BUILT = frozenset(key for group in GROUPS if group.slot for key in group.keys)


def checked(
    overrides: Sequence[str], config_dir: str | None = None, given_dir: str | None = None
) -> Composed:
    """Compose a config and check all of it.

    Args:
        overrides: of the user.
        config_dir: a further folder of the user's options.
        given_dir: one of options that stand for objects of a Python program.

    Raises:
        UserError: with all problems: names first, then values.
    """
    with hydra_state():
        loader = make_loader(config_dir, given_dir)
        names = find_names(loader, overrides)
        if names.problems:
            raise UserError(distinct([*names.problems, *_other_problems(names)]))
        composed = as_composed(load(loader, names.overrides), overrides)
    tables = with_tables(composed.config, overrides)
    composed = replace(
        composed, config=tables.config, inferred=tables.lines, of_folds=tables.of_folds
    )
    problems = _cheap_problems(composed.config, names.overrides)
    named = not any(_NO_SUCH_KEY in p.message for p in problems)
    # The path and targets of a table are checked already; a wrong task is only a name.
    known = not (tables.lines and any(p.where == "tasks" for p in problems))
    if not tables.problems and known and (named or _sets_arguments(names)):
        problems += signature_problems(composed.config)
    problems = tables.problems_before(problems)
    if problems:
        raise UserError(distinct(problems))
    # How jobs are run is no part of what they are.
    return replace(composed, config={k: v for k, v in composed.config.items() if k != "sweep"})


def _other_problems(names: Names) -> list[Problem]:
    """Return problems other than names, importing no more than what the user set needs."""
    if names.base is None:
        return []
    try:
        config = resolved(names.preview())
    except UserError as error:
        return list(error.problems)
    tables = with_tables(config, names.overrides)
    config = tables.config
    problems = check_parts(config, names.overrides)
    if names.values:
        problems = _cheap_problems(config, names.overrides)
    if _sets_arguments(names):
        problems += signature_problems(config)
    problems = tables.problems_before(problems)
    # Problems that follow from a guessed option are not the user's.
    guessed = {problem.where for problem in names.problems}
    return [problem for problem in problems if problem.where not in guessed]


def check_names(overrides: Composed | Sequence[str]) -> list[Problem]:
    """Return the overrides whose group, option or key does not exist, without importing PyTorch."""
    texts = overrides.overrides if isinstance(overrides, Composed) else overrides
    with hydra_state():
        return find_names(make_loader(), texts).problems


def check_values(config: dict[str, Any]) -> list[Problem]:
    """Return problems of a resolved config: types, ranges, targets, and incompatible choices."""
    return distinct([*_cheap_problems(config, ()), *signature_problems(config)])


def schema_problems(config: dict[str, Any]) -> list[Problem]:
    """Return problems of the values that no class takes."""
    from jlrun.config.messages import check_schema

    return check_schema(config)


def signature_problems(config: Mapping[str, Any]) -> list[Problem]:
    """Return problems of the nodes that name a class; imports those classes."""
    from jlrun.config.signatures import (
        check_batch,
        check_gradient_options,
        check_place,
        check_subsets,
    )

    problems = [problem for place in places(config) for problem in check_place(place)]
    return [
        *problems,
        *check_subsets(config),
        *check_gradient_options(config),
        *check_batch(config),
    ]


def _cheap_problems(config: dict[str, Any], overrides: Sequence[str]) -> list[Problem]:
    """Return the problems that need no import of PyTorch."""
    problems = [Problem(path, f"must be set: {path}=…") for path in _unset(config)]
    reported = {problem.where for problem in problems}
    problems += [problem for problem in schema_problems(config) if problem.where not in reported]
    return [*problems, *check_data_parts(config), *check_parts(config, overrides)]


def _unset(config: Any, path: str = "") -> list[str]:
    """Return the paths of values that are still ``???``."""
    if isinstance(config, Mapping):
        items = [(str(key), value) for key, value in config.items()]
    elif isinstance(config, list):
        items = [(str(i), value) for i, value in enumerate(config)]
    else:
        return [path] if config == "???" else []
    return [p for key, value in items for p in _unset(value, f"{path}.{key}".lstrip("."))]


def _sets_arguments(names: Names) -> bool:
    """Return whether an override sets a value that only the signature of some class can judge."""
    keys = [override.key_or_group for override in names.values]
    return any("." in key and key.partition(".")[0] in _BUILT for key in keys)


def distinct(problems: Sequence[Problem]) -> list[Problem]:
    """Return problems without repetitions, in their order."""
    return list(dict.fromkeys(problems))


Config = Mapping[str, Any]


def check_data_parts(config: Config) -> Iterator[Problem]:
    """Yield the tasks and the augmentation that nothing can be built from, and deleted keys."""
    for path, node in data_nodes(config).items():
        fix = "to switch it off, set its values to 0, as in the options of the data set"
        yield from _buildable(f"{path}.augment", node.get("augment"), fix)
        tasks = node.get("tasks")
        inferred = infers(node)
        for name, task in tasks.items() if isinstance(tasks, Mapping) else ():
            fix = f"to leave a task out, name the others in tasks=[…], or ~{path}.tasks.{name}"
            yield from () if inferred else _buildable(f"{path}.tasks.{name}", task, fix)
        for key in sorted(subset_keys() - node.keys()):
            yield Problem(f"{path}.{key}", "is missing; every data set has it, see `jlrun ls`")


def _buildable(path: str, node: Any, fix: str) -> Iterator[Problem]:
    if not isinstance(node, Mapping):
        yield Problem(path, f"{shown(node)} is not a group of keys with a _target_; {fix}")
    elif not isinstance(node.get("_target_"), str):
        yield Problem(path, f"has no _target_, the path of what it builds; {fix}")
