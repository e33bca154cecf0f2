"""Check a sweep before its first job: each value of every sweep, one at a time."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.override_parser.types import IntervalSweep, Override

from jlrun.config.check import checked, distinct
from jlrun.config.compose import Composed, hydra_state, make_loader
from jlrun.config.hydra_internals import ConfigLoaderImpl
from jlrun.config.parsing import parse
from jlrun.errors import Problem, UserError


def checked_variants(overrides: Sequence[str], config_dir: str | None = None) -> list[Composed]:
    """Return configs that cover every value of every sweep, each of them checked.

    The first has the first value of each sweep; every other one differs from it in one value.

    Raises:
        UserError: with all problems of all of them.
    """
    with hydra_state():
        variants = variants_of(make_loader(config_dir), overrides)
    composed, problems = [], []
    for variant in variants:
        try:
            composed.append(checked(variant, config_dir))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(distinct(problems))
    return composed


def variants_of(loader: ConfigLoaderImpl, overrides: Sequence[str]) -> list[list[str]]:
    """Return overrides without sweeps that cover each value of every sweep in ``overrides``.

    Raises:
        UserError: for an override that cannot be read, or a sweep over Hydra's own settings.
    """
    problems: list[Problem] = []
    parsed = parse(loader, overrides, problems)
    problems += [
        Problem(o.get_key_element(), "Hydra's own settings cannot be swept over")
        for o in parsed
        if o.is_sweep_override() and o.is_hydra_override()
    ]
    if problems:
        raise UserError(problems)
    values = [_values(override) for override in parsed]
    first = [choices[0] for choices in values]
    others = [
        [*first[:position], choice, *first[position + 1 :]]
        for position, choices in enumerate(values)
        for choice in choices[1:]
    ]
    return [first, *others]


def _values(override: Override) -> list[str]:
    key = override.get_key_element()
    if not override.is_sweep_override():
        assert override.input_line is not None
        return [override.input_line]
    if override.is_discrete_sweep():
        found = [f"{key}={value}" for value in override.sweep_string_iterator()]
        if not found:
            raise UserError.of(key, f"'{override.input_line}' has no values to sweep over")
        if key == "seed" and all(text.partition("=")[2].isdecimal() for text in found):
            # Nothing else depends on a seed: the largest represents the others.
            largest = max(found, key=lambda text: int(text.partition("=")[2]))
            return list(dict.fromkeys([found[0], largest]))
        # The ends of a range of numbers represent the numbers between them.
        return [found[0], found[-1]] if override.is_range_sweep() and len(found) > 1 else found
    interval = override.value()
    assert isinstance(interval, IntervalSweep)
    return [f"{key}={interval.start}", f"{key}={interval.end}"]
