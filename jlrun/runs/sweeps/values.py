"""Values of a sweep: ranges counted in decimal, no value twice, and points of a simplex.

``weighting.weights=simplex(n)`` sweeps over fixed task weights. Tuned fixed weights are the
baseline that weightings must beat (Xin et al., "Do Current Multi-Task Optimization Methods in Deep
Learning Even Help?", NeurIPS 2022; Kurin et al., "In Defense of the Unitary Scalarization for Deep
Multi-Task Learning", NeurIPS 2022).
"""

# T tasks, n points along an edge of the simplex

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import combinations
from math import comb
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, QuotedString, RangeSweep, Sweep
from hydra.errors import HydraException

from jlrun.config.compose import compose, hydra_state, make_loader
from jlrun.config.nodes import task_labels, used_nodes
from jlrun.errors import UserError
from jlrun.runs.sweeps.variants import variants_of

_RANGE = re.compile(r"\brange\(([^()]*)\)")
_QUOTES = ("'", '"')
MOST_VALUES = 10_000
KEY = "weighting.weights"
MOST_POINTS = 10_000
_SIMPLEX = re.compile(r"(?P<key>[^=]+)=\s*simplex\((?P<argument>.*)\)\s*")


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


def expand_simplex(overrides: Sequence[str], config_dir: str | None = None) -> list[str]:
    """Return the overrides with ``simplex(n)`` written out as a sweep Hydra knows.

    Raises:
        UserError: if it stands elsewhere, n is no number or too small for the tasks, or the jobs
            would not all have the same tasks.
    """
    matches = [_SIMPLEX.fullmatch(text) for text in overrides]
    found = [match for match in matches if match is not None]
    if not found:
        return list(overrides)
    others = [text for text, match in zip(overrides, matches, strict=True) if match is None]
    tasks = _tasks(others, config_dir)
    return [
        text if match is None else f"{match['key']}={_points(match, tasks)}"
        for text, match in zip(overrides, matches, strict=True)
    ]


def simplex(num_tasks: int, n: int) -> Iterator[tuple[float, ...]]:
    """Yield w = T k / (n − 1) for all whole k_i ≥ 1 with Σ k_i = n − 1: Σ w_i = T, none is 0.

    There are C(n − 2, T − 1) of them.
    """
    steps = n - 1
    for cuts in combinations(range(1, steps), num_tasks - 1):
        ends = zip((0, *cuts), (*cuts, steps), strict=True)
        yield tuple(num_tasks * (right - left) / steps for left, right in ends)


def _points(match: re.Match[str], tasks: Sequence[str]) -> str:
    key, argument, count = match["key"].strip(), match["argument"].strip(), len(tasks)
    text = f"simplex({argument})"
    if key.lstrip("+") != KEY:
        raise UserError.of(key, f"'{text}' stands for task weights: write {KEY}={text}")
    if not argument.isdigit():
        raise UserError.of(key, f"'{text}': expected a whole number of points, as in simplex(5)")
    n = int(argument)
    if count < 2:
        raise UserError.of(key, f"'{text}': there is one task, so there is nothing to weigh")
    number = comb(max(n - 2, 0), count - 1)
    if not number:
        raise UserError.of(
            key,
            f"'{text}' has no point with a weight for each of {count} tasks: at least "
            f"simplex({count + 1})",
        )
    if number > MOST_POINTS:
        raise UserError.of(
            key, f"'{text}' of {count} tasks has {number:,} points; take fewer along an edge"
        )
    return ",".join(
        "{" + ",".join(f"{task}:{w:.6g}" for task, w in zip(tasks, weights, strict=True)) + "}"
        for weights in simplex(count, n)
    )


def _tasks(overrides: Sequence[str], config_dir: str | None) -> tuple[str, ...]:
    """Return the tasks that all jobs of a sweep learn.

    Raises:
        UserError: if there is no such thing.
    """
    with hydra_state():
        variants = variants_of(make_loader(config_dir), overrides)
    found = {_tasks_of(compose(variant, config_dir).config) for variant in variants}
    if len(found) > 1:
        raise UserError.of(
            KEY,
            "simplex(…) needs the same tasks in all jobs; sweep over data sets or tasks separately",
        )
    return found.pop()


def _tasks_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    nodes, chosen = used_nodes(config), config.get("tasks")
    if not nodes or "target" in nodes:
        raise UserError.of(KEY, "simplex(…) needs mode=multitask or mode=multimodal")
    names = (name for path, node in nodes.items() for name in task_labels(path, node).values())
    return tuple(name for name in names if chosen is None or name in chosen)
