"""Progress of a phase: what exact resume needs besides the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Best:
    """The epoch that selection chose so far.

    Attributes:
        score: mean primary metric on validation; larger is better.
        loss: mean validation loss, which decides between equal scores.
        epoch: from 1, in its phase.
        step: optimizer steps of the fit done by then.
        scores: label -> metric -> validation score.
    """

    score: float
    loss: float
    epoch: int
    step: int
    scores: Mapping[str, Mapping[str, float]]

    def beaten_by(self, score: float, loss: float) -> bool:
        """Return whether ``score`` is better, or as good with a smaller loss.

        Where there is neither, since no row has a label, the later of two epochs is better.
        """
        if all(map(math.isnan, (self.score, self.loss, score, loss))):
            return True
        return _order(score, loss) > _order(self.score, self.loss)


def _order(score: float, loss: float) -> tuple[float, float]:
    """Return what is larger for better epochs; what is not a number is worse than any that is."""
    return (-math.inf if math.isnan(score) else score, -math.inf if math.isnan(loss) else -loss)


@dataclass
class PhaseState:
    """Progress of a phase.

    Attributes:
        step: optimizer steps of the phase that are done.
        best: the best epoch so far, and ``best_weights`` its weights on the CPU.
        stale_epochs: epochs since the best one.
        seconds: time spent training, in all sessions.
        samples: rows trained on.
        last, oracle: test scores after the last epoch and after the epoch where they are best, for
            phases that ask for them; they select nothing.
        skipped: steps that were left out because a number was not finite.
    """

    step: int = 0
    best: Best | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    stale_epochs: int = 0
    seconds: float = 0.0
    samples: int = 0
    last: Best | None = None
    oracle: Best | None = None
    skipped: int = 0

    def remember(self, best: Best, model: torch.nn.Module) -> None:
        """Make ``best`` the best epoch, with the model's weights as they are now."""
        self.best = best
        self.best_weights = {
            name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()
        }

    def to_plain(self) -> dict[str, Any]:
        """Return everything but the weights as plain values."""
        return {
            "step": self.step,
            "best": None if self.best is None else asdict(self.best),
            "stale_epochs": self.stale_epochs,
            "seconds": self.seconds,
            "samples": self.samples,
            "last": None if self.last is None else asdict(self.last),
            "oracle": None if self.oracle is None else asdict(self.oracle),
            "skipped": self.skipped,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> PhaseState:
        """Return the state that `to_plain` gave, without weights."""
        found = {name: plain[name] for name in ("best", "last", "oracle")}
        made = {name: None if best is None else Best(**best) for name, best in found.items()}
        return cls(**{**plain, **made})
