"""Loss discrepancy control."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.objective.weightings.base import LossWeighting, TaskLosses, positive
from jlrun.objective.weightings.simplex import masked_softmax
from jlrun.objective.weightings.state import TaskAdam
from jlrun.ranges import NonNegativeFloat, PositiveFloat

# ℓ losses (normalised if asked for), v logits, w their weights, u = w ℓ.


class LDCMTL(LossWeighting):
    """Weights that draw the weighted losses of neighbouring tasks together.

    Minimises Σ_i u_i / sg(Σ_i w_i) + λ Σ_i |u_i − u_(i+1)| over the model and v, with w = σ(v).

    Xiao, Dong, Zou & Ji, "LDC-MTL: Balancing Multi-Task Learning through Scalable Loss Discrepancy
    Control", 2025, the single-loop penalty form of its bilevel problem, as in the authors' code
    for CelebA (v a vector that begins at 1). Differs from it in: v has its own Adam with a
    fixed learning rate instead of the model's; no ReLU before σ, behind which a v_i that has become
    negative could never move again; ``initial`` divides each loss by its own first value, where
    the code for NYUv2 divides by their ratios to the smallest; neighbours are those among the
    tasks with labels in the step. As published, neighbours follow the order of the tasks, so the
    update of three or more depends on it. First losses that ``initial`` divides by must not be
    negative.

    Recorded weights are ∂total/∂L_i, which the penalty can make negative for tasks that exceed both
    neighbours: λ Σ_i w_i well below ½ avoids it.

    Args:
        tasks: names of the tasks.
        penalty: λ; the authors take 0.01 (CelebA, 40 tasks) to 0.1 (Cityscapes, 2 tasks).
        lr: learning rate of v.
        squash: σ, the ``sigmoid``, or the ``softmax`` over tasks.
        normalize: ℓ = L (``none``), or L over its ``initial`` value.
    """

    def __init__(
        self,
        tasks: tuple[str, ...],
        penalty: NonNegativeFloat = 0.01,
        lr: PositiveFloat = 1e-3,
        squash: Literal["sigmoid", "softmax"] = "sigmoid",
        normalize: Literal["none", "initial"] = "none",
    ) -> None:
        super().__init__(tasks)
        self.penalty, self.squash, self.normalize = penalty, squash, normalize
        self.adam = TaskAdam(len(tasks), lr)
        self.logits: Tensor
        self.first: Tensor
        self.register_buffer("logits", torch.ones(len(tasks)))
        # Each task's first loss; NaN where unknown.
        self.register_buffer("first", torch.full((len(tasks),), float("nan")))

    def forward(self, losses: TaskLosses) -> Tensor:
        values, active = losses.values.detach(), losses.active
        scale = self._scale(values, active)
        normalized = values / scale
        w = self._weights(active)
        gaps, slopes = _gaps(w * normalized, active)
        rate = 1 / w.sum().clamp(min=torch.finfo(w.dtype).tiny)
        total = rate * (w * normalized).sum() + self.penalty * gaps
        by_u = rate + self.penalty * slopes
        self.last_weights = w * by_u / scale
        self.adam.step(self.logits, self._logit_slopes(w, normalized * by_u), active)
        # The value of the total, and its derivatives with respect to the losses.
        return total + (self.last_weights * (losses.values - values)).sum()

    def _scale(self, values: Tensor, active: Tensor) -> Tensor:
        if self.normalize == "none":
            return torch.ones_like(values)
        self.first = torch.where(self.first.isnan() & active, values, self.first)
        return torch.where(self.first.isnan(), 1.0, positive(self.first))

    def _weights(self, active: Tensor) -> Tensor:
        if self.squash == "softmax":
            return masked_softmax(self.logits, active)
        return torch.sigmoid(self.logits) * active

    def _logit_slopes(self, w: Tensor, by_w: Tensor) -> Tensor:
        """Return the derivatives with respect to v of what has those ``by_w`` with respect to w."""
        if self.squash == "softmax":
            return w * (by_w - (w * by_w).sum())
        return w * (1 - w) * by_w


def _gaps(u: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
    """Return Σ |u_i − u_(i+1)| over neighbours among the active, and its derivatives ``(T,)``."""
    # Active tasks first, in their order: then those that are neighbours stand side by side.
    order = torch.argsort((~active).to(torch.uint8), stable=True)
    differences = u[order].diff() * active[order][1:]
    signs = differences.sign()
    slopes = torch.zeros_like(u)
    slopes[order] = F.pad(signs, (1, 0)) - F.pad(signs, (0, 1))
    return differences.abs().sum(), slopes
