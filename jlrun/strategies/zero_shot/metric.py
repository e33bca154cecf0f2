"""The scores of zero-shot learning as a metric of torchmetrics, which takes long to import."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from jlrun.strategies.zero_shot.classes import ClassSplit
from jlrun.strategies.zero_shot.protocol import Scored


class ZeroShotScores(Metric):
    """`Scored.summary` of all rows.

    Args:
        split: which classes are seen.
    """

    higher_is_better = True
    full_state_update = False

    def __init__(self, split: ClassSplit) -> None:
        super().__init__()
        self.split = split
        self.add_state("scores", default=[], dist_reduce_fx="cat")
        self.add_state("target", default=[], dist_reduce_fx="cat")

    def update(self, probabilities: Tensor, target: Tensor) -> None:
        # Logarithms, since a curve over biases on probabilities would be another one.
        tiny = torch.finfo(probabilities.dtype).tiny
        self.scores.append(probabilities.clamp(min=tiny).log())  # pyright: ignore
        self.target.append(target)  # pyright: ignore

    def compute(self) -> dict[str, Tensor]:
        scored = Scored(dim_zero_cat(self.scores), dim_zero_cat(self.target), self.split)  # pyright: ignore
        exact = torch.float64
        return {name: torch.tensor(v, dtype=exact) for name, v in scored.summary().items()}
