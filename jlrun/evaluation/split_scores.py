"""Scores of the validation and test splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Scores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class SplitScores:
    """Scores by task and metric on the validation and test splits."""

    val: Scores
    test: Scores


SavedScores = dict[str, dict[str, Any]]
