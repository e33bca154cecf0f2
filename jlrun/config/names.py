"""Find every override whose group, option or key does not exist, with the nearest that does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from jlrun.config.choices import Base, chooses_option, compose_base, open_repository
from jlrun.config.compose import COMPOSITION_ERRORS, composition_problem
from jlrun.config.hydra_internals import ConfigLoaderImpl
from jlrun.config.keys import key_problem
from jlrun.config.parsing import key_of, parse, text_of, without_sweeps
from jlrun.errors import Problem, UserError


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
