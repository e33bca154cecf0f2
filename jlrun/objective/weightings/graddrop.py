"""Gradient sign dropout."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.objective.weightings.base import GradientWeighting, TaskGradients
from jlrun.ranges import Probability


class GradDrop(GradientWeighting):
    """Gradients of one sign alone at each coordinate, the sign drawn by its share.

    With the positive sign purity P = ½ (1 + Σ_i g_i / Σ_i |g_i|) and U uniform in [0, 1), positive
    entries stay where U < P and negative ones where U ≥ P; of the others the share ``leak`` stays.

    Chen et al., "Just Pick a Sign: Optimizing Deep Multitask Models with Gradient Sign Dropout",
    NeurIPS 2020, eq. (1) and algorithm 1. Differs from it in: one ``leak`` for all tasks; at
    features, each entry of each row is a separate coordinate, where the paper multiplies by the
    activation's sign and sums over the batch before it reads signs.

    Args:
        tasks: names of the tasks.
        leak: share of a dropped entry that stays; 1 is the plain sum.
    """

    reuses_weights = False

    def __init__(self, tasks: tuple[str, ...], leak: Probability = 0.0) -> None:
        super().__init__(tasks)
        self.leak = leak

    def forward(self, gradients: TaskGradients) -> Tensor:
        jacobian = gradients.jacobian
        total, size = jacobian.sum(dim=0), jacobian.abs().sum(dim=0)
        purity = 0.5 * (1 + torch.where(size > 0, total / size, 0.0))
        uniform = torch.rand(len(purity), dtype=jacobian.dtype).to(jacobian.device)
        kept = torch.where(uniform < purity, jacobian.clamp_min(0), jacobian.clamp_max(0))
        return self.leak * total + (1 - self.leak) * kept.sum(dim=0)
