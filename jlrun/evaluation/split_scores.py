"""Scores of the validation and test splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jlrun.tasks.objective import Objective

Scores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class SplitScores:
    """Scores by task and metric on the validation and test splits."""

    val: Scores
    test: Scores


SavedScores = dict[str, dict[str, Any]]


def by_task(scores: Scores, objectives: Sequence[Objective]) -> dict[str, Mapping[str, float]]:
    """Return task -> metric -> score, of scores by the labels of objectives."""
    return {o.spec.name: scores[o.label] for o in objectives if o.label in scores}
