"""The main task as it is learned, over seen classes, and as it is scored, over all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from jlrun.evaluation.weighted_sums import Weighted
from jlrun.strategies.zero_shot.classes import ClassSplit
from jlrun.strategies.zero_shot.methods import Method
from jlrun.strategies.zero_shot.weighted import zero_shot_scores
from jlrun.tasks import Multiclass
from jlrun.tasks.base import Metric, check_row_logits
from jlrun.tasks.classification import class_log_odds


class SeenClasses(Multiclass):
    """One of the seen classes: the loss of a method on their logits among those of all K.

    Args:
        split: which classes are seen.
        method: the loss.
        label_smoothing: as in `Multiclass`.
        metric: that selection goes by; None: mean class accuracy.
    """

    primary = "mean_class_accuracy"

    def __init__(
        self,
        split: ClassSplit,
        method: Method,
        label_smoothing: float = 0.0,
        metric: str | None = None,
    ) -> None:
        super().__init__(label_smoothing)
        self.prefer(metric)
        self.split = split
        self.method = method

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        check_row_logits(logits)
        seen = torch.tensor(self.split.seen, device=logits.device)
        # Positions of classes that are not seen are filler: no row has them.
        return self.method.loss(
            logits[:, seen], torch.searchsorted(seen, target), self.label_smoothing
        )

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return ``(B, K)``, 0 for classes that are not seen."""
        seen = torch.tensor(self.split.seen, device=logits.device)
        return torch.zeros_like(logits).index_copy(1, seen, logits[:, seen].softmax(dim=1))

    def log_odds(self, logits: Tensor) -> Tensor | None:
        """Return ``(B, K)``, −∞ for classes that are not seen."""
        seen = torch.tensor(self.split.seen, device=logits.device)
        none = torch.full_like(logits, -torch.inf)
        return none.index_copy(1, seen, class_log_odds(logits[:, seen]))


class AllClasses(Multiclass):
    """One of all K classes, scored by the protocol of generalised zero-shot learning.

    Scores are those of `jlrun.strategies.zero_shot.protocol`. A split without rows of unseen
    classes has that of the seen ones alone.

    Args:
        split: which classes are seen.
    """

    primary = "harmonic_mean"

    def __init__(self, split: ClassSplit) -> None:
        super().__init__()
        self.split = split

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        from jlrun.strategies.zero_shot.metric import ZeroShotScores

        return {"zero_shot": ZeroShotScores(self.split)}

    def weighted_scores(
        self, probabilities: np.ndarray, target: np.ndarray
    ) -> Mapping[str, Weighted]:
        tiny = np.finfo(np.float64).tiny
        return zero_shot_scores(np.log(probabilities.clip(min=tiny)), target, self.split)
