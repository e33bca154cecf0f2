"""Find every override whose group, option or key does not exist, with the nearest that does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.defaults_list import Overrides, _create_defaults_list
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from jlrun.config.compose import COMPOSITION_ERRORS, CONFIG_NAME, composition_problem, load
from jlrun.config.keys import key_problem
from jlrun.config.suggest import elsewhere, nearest
from jlrun.errors import Problem, UserError, did_you_mean


@dataclass
class Names:
    """What is known of the names in some overrides.

    Attributes:
        problems: names that do not exist.
        overrides: those whose names exist; a misspelt option stands as the nearest right one, so
            that what depends on it can still be judged.
        composable: whether the composition of ``overrides`` says something about the rest.
    """

    problems: list[Problem] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    composable: bool = True


def find_names(loader: ConfigLoaderImpl, overrides: Sequence[str]) -> Names:
    """Check the names in ``overrides``, of which none is a sweep."""
    names = Names()
    parsed = _without_sweeps(parse(loader, overrides, names.problems), names.problems)
    repository = loader.repository
    groups = [o for o in parsed if _chooses_option(repository, o)]
    chosen = [o for o in (_existing(repository, o, names) for o in groups) if o is not None]
    if not names.composable:
        return names
    chosen = _in_defaults_list(repository, chosen, names)
    if not names.composable:
        return names
    try:
        base = load(loader, [_text(override) for override in chosen])
    except UserError as error:
        names.problems.extend(error.problems)
        names.composable = False
        return names
    values = [o for o in parsed if not any(o is group for group in groups)]
    named = [o for o in values if not _reported(key_problem(base, repository, o), names)]
    kept = {id(o): o for o in (*chosen, *named)}
    names.overrides = [_text(override) for override in kept.values()]
    return names


def parse(
    loader: ConfigLoaderImpl, overrides: Sequence[str], problems: list[Problem]
) -> list[Override]:
    """Parse overrides one by one, adding to ``problems`` what is not KEY=VALUE."""
    parser = OverridesParser.create(config_loader=loader)
    parsed = []
    for text in overrides:
        if "=" not in text and not text.startswith("~"):
            problems.append(Problem(text, f"not of the form KEY=VALUE.{_as_option(loader, text)}"))
            continue
        try:
            parsed.append(parser.parse_override(text))
        except (HydraException, ValueError) as error:
            reason = str(error).splitlines()[0]
            fix = "quote a value with special characters, as in data_root='\"my folder\"'"
            problems.append(Problem(text, f"cannot be read ({reason}): {fix}"))
    return parsed


def options_of(repository: IConfigRepository, group: str) -> list[str]:
    """Return the options of a group."""
    options = repository.get_group_options(group, ObjectType.CONFIG)
    return [name for name in options if not name.startswith("_")]


def _as_option(loader: ConfigLoaderImpl, text: str) -> str:
    if loader.repository.group_exists(text):
        options = options_of(loader.repository, text)
        return f" Choose from: {', '.join(f'{text}={option}' for option in options)}."
    groups = [g for g in loader.list_groups("") if text in options_of(loader.repository, g)]
    if groups:
        return f" Did you mean '{groups[0]}={text}'?"
    return " `jlrun help` lists verbs, groups and their options."


def _without_sweeps(parsed: list[Override], problems: list[Problem]) -> list[Override]:
    for override in parsed:
        if override.is_sweep_override():
            message = (
                "several values: add --multirun to run one job for each, or write a list as [a,b]"
            )
            problems.append(Problem(override.get_key_element(), message))
    return [override for override in parsed if not override.is_sweep_override()]


def _chooses_option(repository: IConfigRepository, override: Override) -> bool:
    exists = repository.group_exists(override.key_or_group)
    return exists and not isinstance(override.value(), dict)


def _existing(repository: IConfigRepository, override: Override, names: Names) -> Override | None:
    """Return the override with options that exist, or None where there is none near."""
    group, value = override.key_or_group, override.value()
    if override.is_delete() and value is None:
        return override
    options = options_of(repository, group)
    if not options:
        parts = repository.get_group_options(group, ObjectType.GROUP)
        listed = ", ".join(f"{group}/{part}" for part in parts)
        names.problems.append(Problem(group, f"choose for each part: {listed}"))
        return None
    found = [str(v) for v in value] if isinstance(value, list) else [_option_text(value)]
    wrong = [option for option in found if option not in options]
    for option in wrong:
        message = f"there is no option '{option}'.{did_you_mean(option, options)}"
        names.problems.append(Problem(_override_key(override), message))
    right = [option if option in options else nearest(option, options) for option in found]
    if None in right:
        # What the other options and keys mean hangs on these groups; the rest can be judged.
        names.composable &= group not in {"mode", "strategy", "experiment"}
        return None
    if wrong:
        text = f"[{','.join(map(str, right))}]" if isinstance(value, list) else right[0]
        return OverridesParser.create().parse_override(f"{override.get_key_element()}={text}")
    return override


def _option_text(value: object) -> str:
    return "null" if value is None else str(value)


def _in_defaults_list(
    repository: IConfigRepository, chosen: list[Override], names: Names
) -> list[Override]:
    """Drop the choices of groups that the composition does not have, or has already."""
    try:
        overrides = _composition(repository, [o for o in chosen if not o.is_add()])
        known = {k: v for k, v in overrides.known_choices.items() if not k.startswith("hydra/")}
        added = [o for o in chosen if o.is_add() and _override_key(o) in known]
        _composition(repository, [o for o in chosen if o not in added])
    except COMPOSITION_ERRORS as error:
        names.problems.append(_missing_option(repository, error))
        names.composable = False
        return []
    for override in added:
        message = "it is part of the config already: write it without the +"
        names.problems.append(Problem(_override_key(override), message))
    unused = {k for k, data in overrides.override_metadata.items() if not data.used}
    unused |= {key for key, deletion in overrides.deletions.items() if not deletion.used}
    for key in sorted(unused):
        origin = overrides.override_metadata.get(key)
        file = "" if origin is None else origin.containing_config_path
        hint = elsewhere(key, str(known.get("mode")))
        message = hint or f"not part of this config.{did_you_mean(key, known)}"
        names.problems.append(Problem(f"{file}: {key}" if file else key, message))
        names.composable &= not file
    return [o for o in chosen if o not in added and _override_key(o) not in unused]


def _composition(repository: IConfigRepository, chosen: list[Override]) -> Overrides:
    """Return what Hydra found out while following the defaults lists."""
    overrides = Overrides(repo=repository, overrides_list=chosen)
    _create_defaults_list(
        repository, CONFIG_NAME, overrides, prepend_hydra=True, skip_missing=False
    )
    return overrides


def _override_key(override: Override) -> str:
    return override.get_key_element().lstrip("+~")


def _missing_option(repository: IConfigRepository, error: Exception) -> Problem:
    path = getattr(error, "missing_cfg_file", None)
    if not path or "/" not in path:
        return composition_problem(error)
    group, option = path.rsplit("/", 1)
    # An override in a file comes to light where the option is used, in the file that is named.
    file = str(error).split("'")[1] if str(error).startswith("In '") else CONFIG_NAME
    options = options_of(repository, group)
    message = f"there is no option '{option}'.{did_you_mean(option, options)}"
    return Problem(group if file == CONFIG_NAME else f"{file}: {group}", message)


def _reported(problem: Problem | None, names: Names) -> bool:
    if problem is not None:
        names.problems.append(problem)
    return problem is not None


def _text(override: Override) -> str:
    assert override.input_line is not None
    return override.input_line
