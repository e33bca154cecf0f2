"""Contribution of each modality to a score: alone, by ablation, and by its Shapley value."""

# v(S) score with the modalities S, larger is better;  M modalities, φ_m contribution of m

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

Coalition = frozenset[str]


@dataclass(frozen=True)
class Contribution:
    """Contributions of the modalities to one score of a model.

    Attributes:
        everything, nothing: v of all modalities, and of none.
        alone: modality -> v({m}).
        without: modality -> v(all without m).
        ablation: modality -> v(all) − v(all without m).
        shapley: modality -> φ_m; they add up to v(all) − v(∅).
        exact: whether φ is the Shapley value itself (`shapley`).
    """

    everything: float
    nothing: float
    alone: Mapping[str, float]
    without: Mapping[str, float]
    ablation: Mapping[str, float]
    shapley: Mapping[str, float]
    exact: bool


def contribution(modalities: Sequence[str], v: Mapping[Coalition, float]) -> Contribution:
    """Return what ``modalities`` contribute in the game ``v``, which holds the sets it needs: the
    empty one, each modality alone, all but each, all; every other one for exact values.
    """
    everything = frozenset(modalities)
    without = {m: v[everything - {m}] for m in modalities}
    phi, exact = shapley(modalities, v)
    return Contribution(
        everything=v[everything],
        nothing=v[frozenset()],
        alone={m: v[frozenset({m})] for m in modalities},
        without=without,
        ablation={m: v[everything] - value for m, value in without.items()},
        shapley=phi,
        exact=exact,
    )


def shapley(
    modalities: Sequence[str], v: Mapping[Coalition, float]
) -> tuple[dict[str, float], bool]:
    """Return the Shapley values, and whether they are exact.

    Shapley, "A Value for n-Person Games", 1953:
    φ_m = Σ over S without m of |S|! (M − |S| − 1)! / M! · (v(S ∪ {m}) − v(S)).

    Where ``v`` lacks sets, φ_m is the mean of what m adds first, v({m}) − v(∅), and last,
    v(all) − v(all without m), plus an equal share of what these leave of v(all) − v(∅). That is the
    Shapley value of every game in which only pairs interact.
    """
    if all(s in v for size in range(len(modalities)) for s in _of_size(modalities, size)):
        return {m: _exactly(m, modalities, v) for m in modalities}, True
    everything = frozenset(modalities)
    phi = {
        m: (v[frozenset({m})] - v[frozenset()] + v[everything] - v[everything - {m}]) / 2
        for m in modalities
    }
    rest = v[everything] - v[frozenset()] - sum(phi.values())
    return {m: value + rest / len(modalities) for m, value in phi.items()}, False


def _exactly(m: str, modalities: Sequence[str], v: Mapping[Coalition, float]) -> float:
    others = [name for name in modalities if name != m]
    return sum(
        (v[s | {m}] - v[s]) / (len(modalities) * math.comb(len(others), len(s)))
        for size in range(len(modalities))
        for s in _of_size(others, size)
    )


def _of_size(names: Sequence[str], size: int) -> list[Coalition]:
    return [frozenset(chosen) for chosen in combinations(names, size)]
