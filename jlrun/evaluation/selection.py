"""Model selection: what scores a model at the end of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from jlrun.engine import Engine
from jlrun.models.joint_model import JointModel


@dataclass(frozen=True)
class Selection:
    """Verdict of a selector on a model.

    Attributes:
        score: larger is better; None: the mean validation score counts.
        shown: those of the values that are shown after each epoch.
        values: tag -> value, for the records.
    """

    score: float | None = None
    shown: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)


class Selector(Protocol):
    """Scores a model at the end of an epoch without looking at the target's labels.

    ``criterion`` is what its score is called in results.
    """

    @property
    def criterion(self) -> str: ...

    def __call__(self, model: JointModel, engine: Engine, epoch: int) -> Selection:
        """Judge ``model``, in evaluation mode, after ``epoch`` epochs of the phase."""
        ...


class SelectByValidation:
    """The validation score selects."""

    criterion = "val/mean_score"

    def __call__(self, model: JointModel, engine: Engine, epoch: int) -> Selection:
        return Selection()
