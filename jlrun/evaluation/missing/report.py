"""Scores of a model with modalities missing, as plain values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Any

from jlrun.data.streams import Stream
from jlrun.evaluation.missing.constants import constant_logits
from jlrun.evaluation.missing.contribution import contribution
from jlrun.evaluation.missing.scoring import (
    Scenario,
    Scored,
    ScoredModel,
    Subset,
    at_rate,
    only,
    score_under,
    subset_name,
    subsets,
)
from jlrun.evaluation.scores import Predict
from jlrun.tasks import SMALLER_IS_BETTER
from jlrun.tasks.objective import Objective

NOTHING: Subset = ()
Loss = tuple[float, int]  # rate and seed
Found = Mapping[Subset | Loss, Scored]


def score_missing(
    predict: Predict,
    model: ScoredModel,
    streams: Mapping[str, Stream],
    rates: Sequence[float],
    seeds: Sequence[int],
) -> dict[str, Any]:
    """Return the ``missing`` and ``contribution`` of a result.

    Args:
        predict: of the selected weights of ``model``.
        model: what is scored; it has several modalities.
        streams: stream name -> test stream; each is read once.
        rates: at which rows lose modalities, ascending.
        seeds: of what they lose; scores are means over them.

    Returns:
        ``missing``: ``subsets``, subset -> label -> metric -> score of the rows that have any of
        its modalities; ``rows``, subset -> label -> how many these are; ``rates``, a list of
        ``rate``, ``lost`` (the share of all modalities of rows that is lost, which is less, since
        no row loses all), ``test`` and ``std`` over the seeds; ``summary``, label -> the ``mean``
        and ``worst`` subset and the ``area`` under the curve of rates, in the primary metric;
        ``never_missing``, the modalities that no row lacked in training, so that the model never
        learned to do without.

        ``contribution``: label -> what each modality contributes to the primary metric, of labels
        whose scores are all finite. Rows with nothing left count as the constant prediction.
    """
    constants = constant_logits(model)
    found: dict[Subset | Loss, Scored] = {}
    for name in dict.fromkeys(objective.stream for objective in model.scored):
        fed = [objective for objective in model.scored if objective.stream == name]
        scenarios = _scenarios(model.modalities, len(streams[name].rows), rates, seeds)
        scored = score_under(predict, fed, streams[name], model.modalities, scenarios, constants)
        found = {key: _merged(found.get(key), one) for key, one in scored.items()}
    return {
        "missing": _missing(found, model, rates, seeds),
        "contribution": _contributions(found, model),
    }


def _scenarios(
    modalities: Sequence[str], num_rows: int, rates: Sequence[float], seeds: Sequence[int]
) -> dict[Subset | Loss, Scenario]:
    return {
        **{subset: only(subset, modalities) for subset in (NOTHING, *subsets(modalities))},
        **{
            (rate, seed): at_rate(rate, seed, num_rows, modalities)
            for rate in rates
            for seed in _seeds(rate, seeds)
        },
    }


def _seeds(rate: float, seeds: Sequence[int]) -> Sequence[int]:
    """Return those whose draws differ: nothing is lost at rate 0."""
    return seeds if rate else seeds[:1]


def _merged(one: Scored | None, other: Scored) -> Scored:
    """Return the outcomes of two streams under the same scenario."""
    if one is None:
        return other
    outcomes = {**one.outcomes, **other.outcomes}
    return Scored(outcomes, one.lost + other.lost, one.had + other.had)


def _missing(
    found: Found, model: ScoredModel, rates: Sequence[float], seeds: Sequence[int]
) -> dict[str, Any]:
    looked_at = subsets(model.modalities)
    by_subset = {
        subset_name(s): {label: dict(o.scores) for label, o in found[s].outcomes.items()}
        for s in looked_at
    }
    draws = {rate: [found[rate, seed] for seed in _seeds(rate, seeds)] for rate in rates}
    by_rate = [_at_rate(rate, drawn) for rate, drawn in draws.items()]
    return {
        "modalities": list(model.modalities),
        "subsets": by_subset,
        "rows": {
            subset_name(s): {label: o.rows for label, o in found[s].outcomes.items()}
            for s in looked_at
        },
        "rates": by_rate,
        "seeds": list(seeds),
        "never_missing": list(model.never_missing),
        "summary": {o.label: _summary(o, by_subset, by_rate) for o in model.scored},
    }


def _defined(function: Callable[[list[float]], float], values: list[float]) -> float:
    """Return the function's value; NaN where one of ``values`` is (AUROC of a single class is)."""
    return function(values) if all(map(math.isfinite, values)) else math.nan


def _at_rate(rate: float, draws: Sequence[Scored]) -> dict[str, Any]:
    """Return mean and standard deviation of the scores over several draws."""

    def over_draws(function: Any) -> dict[str, dict[str, float]]:
        each = [{label: o.scores for label, o in draw.outcomes.items()} for draw in draws]
        return {
            label: {m: _defined(function, [one[label][m] for one in each]) for m in scores}
            for label, scores in each[0].items()
        }

    return {
        "rate": rate,
        "lost": sum(draw.lost for draw in draws) / max(1, sum(draw.had for draw in draws)),
        "test": over_draws(fmean),
        "std": over_draws(pstdev),
    }


def _summary(
    objective: Objective,
    by_subset: Mapping[str, Mapping[str, Mapping[str, float]]],
    by_rate: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    metric, label = objective.spec.task.primary, objective.label
    scores = {name: tasks[label].get(metric, math.nan) for name, tasks in by_subset.items()}
    scores = {name: score for name, score in scores.items() if math.isfinite(score)}
    worst = min(scores, key=lambda name: _sign(metric) * scores[name]) if scores else None
    curve = [(point["rate"], point["test"][label].get(metric, math.nan)) for point in by_rate]
    return {
        "metric": metric,
        "mean": fmean(scores.values()) if scores else None,
        "worst": None if worst is None else scores[worst],
        "worst_subset": worst,
        "area": area_under(curve),
    }


def area_under(curve: Sequence[tuple[float, float]]) -> float | None:
    """Return the area under (rate, score) over the width of the curve, by the trapezoidal rule: the
    mean score over its rates. None of fewer than two points, or where a score is not finite.
    """
    if len(curve) < 2 or not all(math.isfinite(score) for _, score in curve):
        return None
    area = sum((x - w) * (y + z) / 2 for (w, y), (x, z) in pairwise(curve))
    return area / (curve[-1][0] - curve[0][0])


def _contributions(found: Found, model: ScoredModel) -> dict[str, Any]:
    found_shares = {}
    for objective in model.scored:
        metric, label = objective.spec.task.primary, objective.label
        sign = _sign(metric)
        filled = {
            subset: found[subset].outcomes[label].filled.get(metric, math.nan)
            for subset in (NOTHING, *subsets(model.modalities))
        }
        if not all(map(math.isfinite, filled.values())):
            continue
        shares = contribution(model.modalities, {frozenset(s): sign * v for s, v in filled.items()})
        found_shares[label] = {
            "metric": metric,
            "all": sign * shares.everything,
            "none": sign * shares.nothing,
            "alone": {m: sign * v for m, v in shares.alone.items()},
            "without": {m: sign * v for m, v in shares.without.items()},
            "ablation": dict(shares.ablation),
            "shapley": dict(shares.shapley),
            "exact": shares.exact,
            "never_missing": list(model.never_missing),
        }
    return found_shares


def _sign(metric: str) -> int:
    return -1 if metric in SMALLER_IS_BETTER else 1


MISSING = "missing/"


CONTRIBUTION = "contribution/"


def missing_values(result: Mapping[str, Any]) -> dict[str, float]:
    """Return tag -> value of the ``missing`` and ``contribution`` of a result; {} without them.

    ``missing/<subset>/<task>/<metric>``, ``missing/rate_<rate>/<task>/<metric>``,
    ``missing/area/<task>/<metric>``; ``contribution/<modality>/<task>/shapley`` and ``…/ablation``.
    Scores that are not finite have no tag.
    """
    missing = result.get("missing")
    if not missing:
        return {}
    tables = {f"{MISSING}{subset}/": tasks for subset, tasks in missing["subsets"].items()}
    tables |= {f"{MISSING}rate_{point['rate']:g}/": point["test"] for point in missing["rates"]}
    values = {
        f"{prefix}{task}/{metric}": value
        for prefix, tasks in tables.items()
        for task, metrics in tasks.items()
        for metric, value in metrics.items()
    }
    for task, summary in missing["summary"].items():
        values[f"{MISSING}area/{task}/{summary['metric']}"] = summary["area"]
    for task, shares in result["contribution"].items():
        for kind in ("shapley", "ablation"):
            for modality, value in shares[kind].items():
                values[f"{CONTRIBUTION}{modality}/{task}/{kind}"] = value
    return {tag: v for tag, v in values.items() if v is not None and math.isfinite(v)}
