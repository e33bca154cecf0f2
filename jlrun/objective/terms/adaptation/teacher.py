"""A copy of the model that follows it slowly."""

# θ̄ weights of the teacher, θ of the model, t steps so far, d_t decay

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.transfer.frozen import FrozenModel


class Teacher(nn.Module):
    """Predictions of the weights θ̄ ← d_t θ̄ + (1 − d_t) θ, with d_t = min(decay, 1 − 1 / (t + 1)).

    The mean teacher of Tarvainen & Valpola, "Mean Teachers Are Better Role Models", NeurIPS 2017,
    section 2. Differs from it in: it is in evaluation mode, with the running statistics of the
    model. It forgets the weights that the phase began with after the first step.

    Args:
        model: to follow.
        decay: largest d_t.
    """

    steps: Tensor

    def __init__(self, model: JointModel, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.copy = FrozenModel(model)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def follow(self, model: nn.Module) -> None:
        """Take in the model's weights after another step; buffers become the model's."""
        keep = min(self.decay, 1 - 1 / (int(self.steps) + 1))
        self.steps += 1
        own, followed = self.copy.model, model
        for old, new in zip(own.parameters(), followed.parameters(), strict=True):
            old.lerp_(new, 1 - keep)
        for old, new in zip(own.buffers(), followed.buffers(), strict=True):
            old.copy_(new)

    def forward(self, batch: Batch, heads: Collection[str]) -> Mapping[str, Tensor]:
        """Return head -> logits, without a graph."""
        return self.copy(batch, heads).logits
