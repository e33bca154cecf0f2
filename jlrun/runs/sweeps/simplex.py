"""``weighting.weights=simplex(n)``: a sweep over fixed task weights.

Tuned fixed weights are the baseline that weightings must beat (Xin et al., "Do Current Multi-Task
Optimization Methods in Deep Learning Even Help?", NeurIPS 2022; Kurin et al., "In Defense of the
Unitary Scalarization for Deep Multi-Task Learning", NeurIPS 2022).
"""

# T tasks, n points along an edge of the simplex

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import comb
from typing import Any

from jlrun.config.compose import compose, hydra_state, make_loader
from jlrun.config.data_nodes import task_labels, used_nodes
from jlrun.errors import UserError
from jlrun.runs.sweeps.variants import variants_of

KEY = "weighting.weights"
MOST_POINTS = 10_000
_SIMPLEX = re.compile(r"(?P<key>[^=]+)=\s*simplex\((?P<argument>.*)\)\s*")


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
