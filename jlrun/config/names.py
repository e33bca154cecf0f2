"""Find every override whose group, option or key does not exist, with the nearest that does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.default_element import ConfigDefault
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf._utils import split_key

from jlrun.config.choices import Base, chooses_option, compose_base, open_repository
from jlrun.config.compose import COMPOSITION_ERRORS, composition_problem
from jlrun.config.hydra_internals import ConfigLoaderImpl
from jlrun.config.name_escapes import has_escapes, unescape_keys
from jlrun.config.parsing import key_of, options_of, parse, text_of, without_sweeps
from jlrun.config.suggest import elsewhere, leaves, nearest, paths_ending_in
from jlrun.errors import Problem, UserError, did_you_mean

MOST_OPTIONS = 4  # that a message names


@dataclass
class Names:
    """Names in overrides: those that exist, and problems with the others.

    Attributes:
        problems: names that do not exist.
        overrides: those whose names exist; a misspelt option is replaced by the nearest right one.
        base: the config of the chosen options; None if the rest can't be judged.
        values: those of ``overrides`` that set values.
    """

    problems: list[Problem]
    overrides: list[str] = field(default_factory=list)
    base: Base | None = None
    values: list[Override] = field(default_factory=list)

    def preview(self) -> DictConfig:
        """Return the config with the values set, without what Hydra adds for a run.

        Raises:
            UserError: if a value does not fit its place.
        """
        assert self.base is not None
        try:
            ConfigLoaderImpl._apply_overrides_to_config(self.values, self.base.cfg)
        except COMPOSITION_ERRORS as error:
            raise UserError([composition_problem(error)]) from error
        if has_escapes([text_of(override) for override in self.values]):
            unescape_keys(self.base.cfg)
        return self.base.cfg


def find_names(loader: ConfigLoaderImpl, overrides: Sequence[str]) -> Names:
    """Check the names in ``overrides``, of which none may be a sweep."""
    problems: list[Problem] = []
    parsed = without_sweeps(parse(loader, overrides, problems), problems)
    try:
        repository = open_repository(loader, parsed)
    except COMPOSITION_ERRORS as error:
        return Names([*problems, composition_problem(error)])
    choosing = [chooses_option(repository, override) for override in parsed]
    groups = [o for o, is_group in zip(parsed, choosing, strict=True) if is_group]
    base = compose_base(loader, repository, groups, problems)
    if base is None:
        return Names(problems)
    values = []
    for override, is_group in zip(parsed, choosing, strict=True):
        problem = None if is_group else _key_problem(base, override)
        if problem is not None:
            problems.append(problem)
        elif not is_group:
            values.append(override)
    return Names(problems, [text_of(o) for o in (*base.chosen, *values)], base, values)


def _key_problem(base: Base, override: Override) -> Problem | None:
    """Return `key_problem`, also for a key that OmegaConf can't split."""
    try:
        return key_problem(base, override)
    except COMPOSITION_ERRORS as error:
        problem = composition_problem(error)
        return Problem(problem.where or key_of(override), problem.message)


def key_problem(base: Base, override: Override) -> Problem | None:
    """Return what is wrong with the key of ``override``, given the config without any values set.

    Keys added with ``+`` or ``++`` may be new here; whether they mean something is for the checks
    of values.
    """
    key = override.key_or_group
    if override.package is not None or "/" in key:
        return _no_such_group(base, override)
    group = key.replace(".", "/")
    if isinstance(override.value(), str) and "." in key and base.repository.group_exists(group):
        return Problem(key, f"to choose an option, write {group}={override.value()}")
    missing = _first_missing(base.cfg, split_key(key))
    if override.is_force_add():
        return None
    if override.is_add():
        exists = missing is None and not isinstance(override.value(), dict | list)
        return Problem(key, "it exists already: write it without the +") if exists else None
    return None if missing is None else _no_such_key(base, key, missing)


def _first_missing(cfg: DictConfig, parts: list[str]) -> int | None:
    """Return the position of the first part of a key that the config lacks."""
    node: Any = cfg
    for position, part in enumerate(parts):
        if isinstance(node, ListConfig):
            if not (part.isdigit() and int(part) < len(node)):
                return position
            node = node._get_node(int(part))
        elif isinstance(node, DictConfig) and not node._is_none() and part in node.keys():  # noqa: SIM118 (without .keys() values that must be set are left out)
            node = node._get_node(part)
        elif isinstance(node, DictConfig) and position and not node._is_none() and not len(node):
            return None  # an empty mapping takes any key
        else:
            return position
    return None


def _no_such_key(base: Base, key: str, missing: int) -> Problem:
    parts = split_key(key)
    if missing == 0 or (parts[0] == "terms" and missing == 1):
        hint = elsewhere(key, str(base.choices.get("mode")))
        if hint:
            return Problem(key, hint)
    if missing == 0:
        return Problem(key, f"there is no such key.{_anywhere(base, parts)}")
    holder, part = ".".join(parts[:missing]), parts[missing]
    node = OmegaConf.select(base.cfg, holder, throw_on_missing=False)
    names = [str(name) for name in node] if isinstance(node, DictConfig) else []
    options = _options_with(base, holder, part)
    if options:
        return Problem(key, f"the chosen option does not take '{part}'; {_do(options)}")
    suggestion = did_you_mean(part, [name for name in names if not name.startswith("_")])
    return Problem(key, f"there is no key '{part}'.{suggestion}")


def _do(options: Sequence[str]) -> str:
    """Return a list of options as text: all of a few, else how many others there are."""
    if len(options) == 1:
        return f"{options[0]} does"
    if len(options) > MOST_OPTIONS:
        named = options[: MOST_OPTIONS - 1]
        return f"{', '.join(named)} and {len(options) - len(named)} others do"
    return f"{', '.join(options[:-1])} and {options[-1]} do"


def _anywhere(base: Base, parts: list[str]) -> str:
    """Return a suggestion among all paths that end in the key, or among top-level names."""
    plain = OmegaConf.to_container(base.cfg, resolve=False)
    assert isinstance(plain, dict)
    tree = {str(name): value for name, value in plain.items() if name != "hydra"}
    leaf = nearest(parts[-1], leaves(tree))
    exact = [leaf] == parts  # a key without the part that it belongs to
    if leaf is None or (not exact and nearest(parts[0], tree) is not None):
        return did_you_mean(parts[0], dict.fromkeys([*tree, *base.choices]))
    quoted = " or ".join(f"'{path}'" for path in paths_ending_in(leaf, tree)[:3])
    return f" Did you mean {quoted}?"


def _options_with(base: Base, holder: str, key: str) -> list[str]:
    """Return the choices of the group at ``holder`` under which ``key`` exists."""
    group = holder.replace(".", "/")
    options = options_of(base.repository, group) if group in base.choices else ()
    return [f"{group}={option}" for option in options if key in _keys_of(base, group, option)]


def _keys_of(base: Base, group: str, option: str) -> Iterator[str]:
    """Yield the keys of an option, and of the files of its group that it starts from."""
    loaded = base.repository.load_config(f"{group}/{option}")
    if loaded is None or not isinstance(loaded.config, DictConfig):
        return
    yield from map(str, loaded.config)
    for default in loaded.defaults_list or ():
        if isinstance(default, ConfigDefault) and default.path not in {None, "_self_"}:
            yield from _keys_of(base, group, str(default.path))


def _no_such_group(base: Base, override: Override) -> Problem:
    key = key_of(override)
    dotted = override.key_or_group.replace("/", ".")
    if OmegaConf.select(base.cfg, dotted, throw_on_missing=False) is not None:
        return Problem(key, f"it is a value: write {dotted}=…")
    return Problem(key, f"there is no group '{key}'.{did_you_mean(key, base.choices)}")
