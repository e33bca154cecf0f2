"""Space that a search draws from: a dimension for each override with several values."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from jlrun.errors import UserError

_KNOWN_TAGS = frozenset({"log"})


@dataclass(frozen=True)
class Choice:
    """Dimension of values without an order; they are texts as an override has them."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Interval:
    """Dimension of numbers.

    Attributes:
        low, high: both included.
        log: whether all magnitudes are as likely.
        step: between whole numbers; None: real numbers.
    """

    key: str
    low: float
    high: float
    log: bool = False
    step: int | None = None


Dimension = Choice | Interval


def values_of(override: Override) -> list[str]:
    """Return an override of several values as one of a single value for each."""
    key = override.get_key_element()
    if override.is_sweep_override():
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    assert override.input_line is not None
    return [override.input_line]


def check_grid(overrides: Sequence[Override]) -> None:
    """Check that a grid has no interval.

    Raises:
        UserError: if it has.
    """
    for override in overrides:
        if override.is_sweep_override() and not override.is_discrete_sweep():
            message = f"'{override.input_line}' has no end of values: add sweep=random or optuna"
            raise UserError.of(override.get_key_element(), message)


def dimensions(overrides: Sequence[Override]) -> list[Dimension]:
    """Return the dimensions of a search.

    Raises:
        UserError: for a tag that means nothing, an interval that can't be drawn from, or a seed:
            the best one would be a lucky one.
    """
    return [_dimension(override) for override in overrides if override.is_sweep_override()]


def check_searched(found: Sequence[Dimension]) -> None:
    """Check that a search by scores has dimensions, none of which is the seed.

    Raises:
        UserError: if not so.
    """
    if not found:
        message = "there is nothing to search: give a key several values or an interval"
        raise UserError.of("sweep", f"{message}, as in optimizer.lr='tag(log,interval(1e-4,1e-1))'")
    if any(dimension.key.lstrip("+") == "seed" for dimension in found):
        message = "a search would keep the luckiest seed: fix it, and repeat what is found"
        raise UserError.of("seed", f"{message} with several seeds in a grid")


def fixed(overrides: Sequence[Override]) -> list[str]:
    """Return the overrides of a single value."""
    lines = [o.input_line for o in overrides if not o.is_sweep_override()]
    return [line for line in lines if line is not None]


def drawn(overrides: Sequence[Override], trials: int, seed: int) -> Iterator[list[str]]:
    """Yield the overrides of each of ``trials`` jobs, no two of them equal.

    A longer sweep begins with the jobs of a shorter one. It ends where all is drawn.
    """
    same, space = fixed(overrides), dimensions(overrides)
    size = math.prod(_size(dimension) for dimension in space)
    seen = set[tuple[str, ...]]()
    draw = 0
    while len(seen) < min(trials, size):
        rng = random.Random(f"{seed}/{draw}")
        draw += 1
        texts = tuple(f"{dimension.key}={_drawn(dimension, rng)}" for dimension in space)
        if texts not in seen:
            seen.add(texts)
            yield [*same, *texts]


def written(number: float) -> str:
    """Return a real number as an override has it, to six digits."""
    return repr(float(f"{number:.6g}"))


def _dimension(override: Override) -> Dimension:
    key, sweep = override.get_key_element(), override.value()
    tags = set(getattr(sweep, "tags", ()))
    if tags - _KNOWN_TAGS:
        raise UserError.of(key, f"there is no tag '{min(tags - _KNOWN_TAGS)}'; 'log' is one")
    if isinstance(sweep, IntervalSweep):
        return _interval(key, sweep, "log" in tags)
    if isinstance(sweep, RangeSweep) and isinstance(sweep.range(), range) and not sweep.shuffle:
        whole = sweep.range()
        assert isinstance(whole, range)
        low, high = sorted((whole[0], whole[-1]))
        return Interval(key, low, high, step=abs(whole.step))
    return Choice(key, tuple(override.sweep_string_iterator()))


def _interval(key: str, sweep: IntervalSweep, log: bool) -> Interval:
    low, high = sweep.start, sweep.end
    assert low is not None
    assert high is not None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UserError.of(key, f"interval({low},{high}): expected two numbers, the smaller first")
    if log and low <= 0:
        raise UserError.of(key, f"interval({low},{high}) has no logarithm: begin above 0")
    return Interval(key, low, high, log, 1 if isinstance(low, int) else None)


def _size(dimension: Dimension) -> float:
    if isinstance(dimension, Choice):
        return len(dimension.values)
    if dimension.step is None:
        return math.inf
    return (dimension.high - dimension.low) // dimension.step + 1


def _drawn(dimension: Dimension, rng: random.Random) -> str:
    if isinstance(dimension, Choice):
        return rng.choice(dimension.values)
    low, high = dimension.low, dimension.high
    if dimension.step is not None and not dimension.log:
        return str(int(low) + dimension.step * rng.randrange(int(_size(dimension))))
    if dimension.step is not None:  # each whole number has its share of the logarithm
        drawn = math.exp(rng.uniform(math.log(low - 0.5), math.log(high + 0.5)))
        return str(min(max(round(drawn), int(low)), int(high)))
    if dimension.log:
        drawn = math.exp(rng.uniform(math.log(low), math.log(high)))
        return written(min(max(drawn, low), high))
    return written(rng.uniform(low, high))
