"""Scored model: what is scored with modalities missing, and what its heads learned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jlrun.data.streams import Stream
from jlrun.tasks.objective import Objective


@dataclass(frozen=True)
class ScoredModel:
    """A trained model, as far as scores with modalities missing depend on it.

    Attributes:
        modalities: what the model takes, several.
        scored: what its scores are about.
        learned: the objectives of its last phase.
        train: stream name -> training stream of its last phase.
    """

    modalities: tuple[str, ...]
    scored: tuple[Objective, ...]
    learned: tuple[Objective, ...]
    train: Mapping[str, Stream]
