"""Read overrides one by one, telling all that are not of the form KEY=VALUE."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from jlrun.config.hydra_internals import ConfigLoaderImpl, IConfigRepository
from jlrun.config.named_overrides import expand_datasets, quoted_names
from jlrun.errors import Problem


def parse(
    loader: ConfigLoaderImpl, overrides: Sequence[str], problems: list[Problem]
) -> list[Override]:
    """Parse overrides, adding to ``problems`` those that cannot be."""
    parser = OverridesParser.create(config_loader=loader)
    parsed: list[Override] = []
    for text in quoted_names(expand_datasets(overrides)):
        if text.startswith("="):
            problems.append(Problem(text, "not of the form KEY=VALUE: the key is missing"))
            continue
        if "=" not in text and not text.startswith("~"):
            hint = _as_choice(loader.repository, text)
            problems.append(Problem(text, f"not of the form KEY=VALUE.{hint}"))
            continue
        if "=simplex(" in text:  # written out before a sweep is parsed
            key = text.partition("=")[0]
            problems.append(Problem(key, "simplex(…) is several values: add --multirun"))
            continue
        try:
            parsed += parser.parse_overrides([text])
        except (HydraException, ValueError) as error:
            reason = str(error).splitlines()[0]
            problems.append(Problem(text, f"cannot be read ({reason}): {_fix(parser, text)}"))
    _tell_repeated(parsed, problems)
    return parsed


def _fix(parser: OverridesParser, text: str) -> str:
    """Say how an override is written that can't be read."""
    key, _, value = text.partition("=")
    parent, _, last = key.rpartition(".")
    if parent and not _is_read(parser, f"{key}=1") and _is_read(parser, f"{parent}=1"):
        return f"'{last}' can't stand in a key on the command line; write '{parent}={{{last}: …}}'"
    example = "data_root='\"my folder\"'"
    if value and not set(value) & set("'\""):
        first = value[1:].partition(",")[0].rstrip("]").strip()
        example = f"'{key}=[\"{first}\"]'" if value[0] == "[" else f"{key}='\"{value}\"'"
    fix = f"quote a value with special characters, as in {example}"
    if key.endswith((".decimal", ".thousands", ".delimiter")):
        fix += ", or name it: comma, point, semicolon, tab, space"
    return fix


def _is_read(parser: OverridesParser, text: str) -> bool:
    try:
        parser.parse_overrides([text])
    except (HydraException, ValueError):
        return False
    return True


def _tell_repeated(parsed: Sequence[Override], problems: list[Problem]) -> None:
    texts: dict[str, list[str]] = {}
    for override in parsed:
        texts.setdefault(override.get_key_element(), []).append(text_of(override))
    for key, same in texts.items():
        if len(same) > 1:
            given = " and ".join(f"'{text}'" for text in same)
            problems.append(Problem(key, f"given {len(same)} times, {given}; keep one"))


def without_sweeps(parsed: Sequence[Override], problems: list[Problem]) -> list[Override]:
    """Return the overrides of a single value, adding the others to ``problems``."""
    for override in parsed:
        if override.is_sweep_override():
            message = (
                "several values: add --multirun to run one job for each, or write a list as [a,b]"
            )
            problems.append(Problem(key_of(override), message))
    return [override for override in parsed if not override.is_sweep_override()]


def key_of(override: Override) -> str:
    """Return the key of an override, with its package and without a leading ``+`` or ``~``."""
    return override.get_key_element().lstrip("+~")


def text_of(override: Override) -> str:
    """Return an override as it was written."""
    assert override.input_line is not None
    return override.input_line


def options_of(repository: IConfigRepository, group: str) -> list[str]:
    """Return the options of a group."""
    options = repository.get_group_options(group, ObjectType.CONFIG)
    return [name for name in options if not name.startswith("_")]


def _as_choice(repository: IConfigRepository, text: str) -> str:
    """Return what the name of a group or an option, alone, may have meant."""
    if repository.group_exists(text):
        choices = ", ".join(f"{text}={option}" for option in options_of(repository, text))
        return f" Choose from: {choices}." if choices else ""
    for group in repository.get_group_options("", ObjectType.GROUP):
        if text in options_of(repository, group):
            return f" Did you mean '{group}={text}'?"
    return " `jlrun help` lists verbs, groups and their options."
