"""Scores that a search goes by: their directions, their values in results, and whether there are
any before its first job."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jlrun.config.compose import Composed
from jlrun.config.folds import folded, of_fold
from jlrun.config.nodes import data_nodes
from jlrun.errors import UserError, did_you_mean
from jlrun.tasks import SMALLER_IS_BETTER

_KEY = "sweep.objectives"


def directions(objectives: Sequence[str]) -> list[str]:
    """Return maximize or minimize for each objective; the objective of runs is maximized."""
    return [_direction(name) for name in objectives] or ["maximize"]


def _direction(name: str) -> str:
    smaller = name.startswith("cost/") or name.rpartition("/")[2] in SMALLER_IS_BETTER
    return "minimize" if smaller else "maximize"


def objective_values(
    result: Mapping[str, Any], objectives: Sequence[str]
) -> tuple[float, ...] | None:
    """Return what a trial is judged by; None if a value is not finite.

    Raises:
        UserError: if the run has no such score, or says that its objective goes the other way.
    """
    own = result.get("objective") or {}
    if own and own.get("direction") != "maximize":
        message = f"{own.get('name')} is to be {own.get('direction')}d, the study maximizes"
        raise UserError.of(_KEY, f"{message}: name the objectives")
    if not objectives and not own:
        message = "a run ended without a validation score to search by; name others, such as"
        raise UserError.of(_KEY, f"{message} [cost/train_seconds]")
    found = [own.get("value")] if not objectives else [_named(result, name) for name in objectives]
    values = tuple(math.nan if value is None else float(value) for value in found)
    return values if all(map(math.isfinite, values)) else None


def _named(result: Mapping[str, Any], name: str) -> float | None:
    """Return a score by its name; None for one that could not be measured.

    Raises:
        UserError: if the run has none of that name.
    """
    own = result.get("objective") or {}
    scores = {
        f"val/{task}/{metric}": value
        for task, metrics in (result.get("val") or {}).items()
        for metric, value in metrics.items()
    }
    scores |= {f"cost/{key}": value for key, value in (result.get("cost") or {}).items()}
    scores |= {str(own["name"]): own.get("value")} if own else {}
    if name not in scores:
        hint = did_you_mean(name, [each for each in scores if not each.startswith("cost/")])
        raise UserError.of(_KEY, f"the runs have no '{name}'.{hint}")
    return scores[name]


def check_scored(variants: Sequence[Composed], objectives: Sequence[str] | None) -> None:
    """Check that runs will have what a search goes by; reads data only where that is in doubt.

    Args:
        variants: configs that cover each value of the search.
        objectives: names; None: the objective of the runs.

    Raises:
        UserError: if one of them has no validation rows, and needs some.
    """
    if objectives and all(name.startswith("cost/") for name in objectives):
        return
    for variant in variants:
        doubtful = any(n.get("val_fraction") == 0 for n in data_nodes(variant.config).values())
        if doubtful:
            _check_validated(variant.config)


def _check_validated(config: Mapping[str, Any]) -> None:
    from jlrun.engine import session
    from jlrun.runs.datasets import load_data
    from jlrun.runs.settings import RunSettings

    path = folded(config)
    settings = RunSettings.parse(dict(config) if path is None else of_fold(config, path, 0))
    with session(threads=settings.engine.threads, deterministic=False):
        splits = load_data(settings.data, {}).splits[settings.data.leading]
    if not len(splits.val):
        where = f"{settings.data.leading}.val_fraction"
        message = "0 leaves no validation rows, so that there is no score to search by; use a"
        fix = "fraction above 0, or costs alone, as in sweep.objectives=[cost/train_seconds]"
        raise UserError.of(where, f"{message} {fix}")
