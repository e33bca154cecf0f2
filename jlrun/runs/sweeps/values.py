"""The values of a sweep: ranges counted in decimal, and no value twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString, RangeSweep, Sweep
from hydra.errors import HydraException

from jlrun.config.compose import make_loader
from jlrun.errors import UserError

_RANGE = re.compile(r"\brange\(([^()]*)\)")
_QUOTES = ("'", '"')
MOST_VALUES = 10_000


def settled_values(
    overrides: Sequence[str], config_dir: str | None = None
) -> tuple[list[str], list[str]]:
    """Return the overrides with their ranges written out and each value of a sweep once, and a line
    for each override that gave a value twice.

    Hydra adds binary numbers: ``range(0.3,0.9,0.3)`` has a third value there, 0.8999999999999999.

    Raises:
        UserError: for a range without end, or of too many numbers.
    """
    parser = OverridesParser.create(config_loader=make_loader(config_dir))
    settled, lines = list[str](), list[str]()
    for text in overrides:
        written = _with_ranges(text, parser)
        distinct, repeated = _without_repeats(written, parser)
        settled.append(distinct)
        if repeated:
            key = text.partition("=")[0]
            lines.append(f"{key}: {', '.join(repeated)} more than once; equal jobs run once")
    return settled, lines


def decimal_range(start: float, stop: float, step: float) -> list[str]:
    """Return start + i · step, for i ≥ 0, before ``stop``, added as decimal numbers.

    Raises:
        ValueError: if the step is 0, a number is not finite, or there are too many.
    """
    first, last, width = (Decimal(str(number)) for number in (start, stop, step))
    if not (first.is_finite() and last.is_finite() and width.is_finite()) or not width:
        raise ValueError("needs finite numbers and a step other than 0")
    count = max(0, -int((first - last) // width) + 1)
    if count > MOST_VALUES:
        raise ValueError(f"has {count:,} numbers; take a larger step")
    values = (first + i * width for i in range(count + 1))
    return [repr(float(v)) for v in values if (v < last if width > 0 else v > last)]


def _with_ranges(text: str, parser: OverridesParser) -> str:
    override = _sweep(text, parser) if "range(" in text else None
    if override is None or any(quote in text for quote in _QUOTES):
        return text

    def written(match: re.Match[str]) -> str:
        found = parser.parse_rule(match[0], "function")
        if not isinstance(found, RangeSweep):
            return match[0]
        assert found.start is not None
        assert found.stop is not None
        try:
            values = decimal_range(found.start, found.stop, found.step)
        except ValueError as error:
            raise UserError.of(override.get_key_element(), f"'{match[0]}' {error}") from error
        if not values:
            raise UserError.of(override.get_key_element(), f"'{match[0]}' has no numbers")
        if isinstance(found.range(), range):  # of whole numbers
            return match[0]
        before = text[: match.start()].rstrip()
        among_others = before.count("(") == before.count(")") or "choice(" in before
        return ",".join(values) if among_others else f"choice({','.join(values)})"

    return _RANGE.sub(written, text)


def _without_repeats(text: str, parser: OverridesParser) -> tuple[str, list[str]]:
    """Return an override with each value once, and the values that it gave several times."""
    override = _sweep(text, parser)
    if override is None or not override.is_discrete_sweep():
        return text, []
    kept, repeated = dict[str, str](), dict[str, str]()
    values = list(override.sweep_iterator())
    if any(isinstance(value, Sweep) for value in values):
        fix = "write the numbers out, or the range alone"
        raise UserError.of(override.get_key_element(), f"'{text}' has a sweep in a sweep; {fix}")
    for value, written in zip(values, override.sweep_string_iterator(), strict=True):
        if _identity(value) in kept:
            repeated[_identity(value)] = written
        kept.setdefault(_identity(value), written)
    if not repeated:
        return text, []
    return f"{override.get_key_element()}={','.join(kept.values())}", list(repeated.values())


def _sweep(text: str, parser: OverridesParser) -> Override | None:
    """Return an override of several values; None of any other, also one that can't be read:
    the check of the config reports those."""
    try:
        (override,) = parser.parse_overrides([text])
    except (HydraException, ValueError):
        return None
    return override if override.is_sweep_override() else None


def _identity(value: Any) -> str:
    """Return a text that is the same for equal values, such as 1 and 1.0."""
    if isinstance(value, QuotedString):
        return f"text {value.text}"
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, int | float):
        return repr(float(value)) if abs(value) < 2**53 else repr(value)
    if isinstance(value, dict):
        return f"{{{','.join(sorted(f'{_identity(k)}:{_identity(v)}' for k, v in value.items()))}}}"
    if isinstance(value, list):
        return f"[{','.join(_identity(item) for item in value)}]"
    return f"text {value}"
