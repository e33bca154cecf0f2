"""Chosen options, followed through the defaults lists; choices that do not exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from jlrun.config.compose import COMPOSITION_ERRORS, CONFIG_NAME, composition_problem
from jlrun.config.groups import GROUPS
from jlrun.config.hydra_internals import (
    CachingConfigRepository,
    ConfigLoaderImpl,
    IConfigRepository,
    OverrideMetadata,
    Overrides,
    create_defaults_list,
)
from jlrun.config.parsing import key_of, options_of
from jlrun.config.plugins_of_hydra import missing_plugin
from jlrun.config.suggest import elsewhere, nearest
from jlrun.errors import Problem, did_you_mean

_DECISIVE = frozenset(group.name for group in GROUPS if group.decisive)


@dataclass(frozen=True)
class Base:
    """A config composed from chosen options, before any value is set.

    Attributes:
        cfg: with Hydra's node, struct flags set.
        repository: where options are found.
        choices: group -> option, Hydra's own groups left out.
        chosen: the overrides that took effect.
    """

    cfg: DictConfig
    repository: IConfigRepository
    choices: Mapping[str, str | None]
    chosen: tuple[Override, ...]


def chooses_option(repository: IConfigRepository, override: Override) -> bool:
    """Return whether an override chooses an option of a group, rather than setting a value."""
    exists = repository.group_exists(override.key_or_group)
    return exists and not isinstance(override.value(), dict)


def open_repository(
    loader: ConfigLoaderImpl, parsed: Sequence[Override]
) -> CachingConfigRepository:
    """Return where options are found, ``hydra.searchpath`` included."""
    repository = CachingConfigRepository(loader.repository)
    loader._process_config_searchpath(CONFIG_NAME, list(parsed), repository)
    return repository


def compose_base(
    loader: ConfigLoaderImpl,
    repository: CachingConfigRepository,
    groups: Sequence[Override],
    problems: list[Problem],
) -> Base | None:
    """Compose the options that ``groups`` choose, adding to ``problems`` those that do not exist.

    A misspelt option counts as the nearest right one, so that what depends on it can be judged.

    Returns:
        None if the rest can't be judged.
    """
    existing = [_existing(repository, override, problems) for override in groups]
    lost = {o.key_or_group for o, r in zip(groups, existing, strict=True) if r is None}
    if lost & _DECISIVE:
        return None
    chosen = [override for override in existing if override is not None]
    try:
        followed, defaults = _follow(repository, [o for o in chosen if not o.is_add()])
        known = {k: v for k, v in followed.known_choices.items() if not k.startswith("hydra/")}
        again = [o for o in chosen if o.is_add() and key_of(o) in known]
        if any(o.is_add() and o not in again for o in chosen):
            followed, defaults = _follow(repository, [o for o in chosen if o not in again])
        for override in again:
            message = "it is part of the config already: write it without the +"
            problems.append(Problem(key_of(override), message))
        unused = _unused(followed, known, problems)
        if any(not origin.external_override for origin in unused.values() if origin):
            return None
        cfg = loader._compose_config_from_defaults_list(defaults, repository)
    except COMPOSITION_ERRORS as error:
        problems.append(_missing_option(repository, error))
        return None
    OmegaConf.set_struct(cfg, True)
    effective = [o for o in chosen if o not in again and key_of(o) not in unused]
    return Base(cfg, repository, known, tuple(effective))


def _existing(
    repository: IConfigRepository, override: Override, problems: list[Problem]
) -> Override | None:
    """Return the override with options that exist, or None where none is near."""
    group, value = override.key_or_group, override.value()
    if override.is_delete() and value is None:
        return override
    options = options_of(repository, group)
    if not options:
        parts = repository.get_group_options(group, ObjectType.GROUP)
        listed = ", ".join(f"{group}/{part}" for part in parts)
        problems.append(Problem(group, f"choose for each part: {listed}"))
        return None
    asked = value if isinstance(value, list) else [value]
    found = ["null" if option is None else str(option) for option in asked]
    for option in found:
        if option not in options:
            unknown = f"there is no option '{option}'.{did_you_mean(option, options)}"
            message = missing_plugin(group, option) or unknown
            problems.append(Problem(key_of(override), message))
    right = [option if option in options else nearest(option, options) for option in found]
    if None in right:
        return None
    if right == found:
        return override
    text = f"[{','.join(map(str, right))}]" if isinstance(value, list) else right[0]
    return OverridesParser.create().parse_override(f"{override.get_key_element()}={text}")


def _follow(repository: IConfigRepository, chosen: list[Override]) -> tuple[Overrides, list]:
    """Return what Hydra found out while following the defaults lists, and the lists."""
    overrides = Overrides(repo=repository, overrides_list=chosen)
    defaults, _ = create_defaults_list(
        repository, CONFIG_NAME, overrides, prepend_hydra=True, skip_missing=False
    )
    return overrides, defaults


def _unused(
    followed: Overrides, known: Mapping[str, str | None], problems: list[Problem]
) -> dict[str, OverrideMetadata | None]:
    """Return the chosen groups that the composition does not have, and where each was chosen."""
    unused: dict[str, OverrideMetadata | None] = {
        key: origin for key, origin in followed.override_metadata.items() if not origin.used
    }
    unused |= {key: None for key, deletion in followed.deletions.items() if not deletion.used}
    for key, origin in unused.items():
        file = "" if origin is None else origin.containing_config_path
        hint = elsewhere(key, str(known.get("mode")))
        message = hint or f"not part of this config.{did_you_mean(key, known)}"
        problems.append(Problem(f"{file}: {key}" if file else key, message))
    return unused


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
