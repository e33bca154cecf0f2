"""Impartial multi-task learning, both parts."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.objective.weightings.adam import TaskAdam
from jlrun.objective.weightings.base import GramianWeighting, TaskGradients
from jlrun.objective.weightings.gramian import on_nonzero
from jlrun.objective.weightings.imtl_g import impartial_weights
from jlrun.objective.weightings.positive import positive
from jlrun.ranges import PositiveFloat


class IMTL(GramianWeighting):
    """IMTL-G on losses that IMTL-L scales: learned e^(s_i) bring all L_i e^(s_i) towards 1.

    Liu et al., "Towards Impartial Multi-task Learning", ICLR 2021, IMTL: s_i
    follows the gradient of e^(s_i) L_i − s_i. IMTL-G's direction does not depend on the scale of a
    task's loss, so s changes the length of the update only (and the weights of the heads' losses,
    where they are used). Differs from it in: s has an Adam of its own, where the paper trains it
    with the optimizer of the model; L + 1e-8 stands for L there. Losses must not be negative.

    Args:
        tasks: names of the tasks.
        lr: learning rate of s.
    """

    def __init__(self, tasks: tuple[str, ...], lr: PositiveFloat = 1e-3) -> None:
        super().__init__(tasks)
        self.log_scale: Tensor
        self.register_buffer("log_scale", torch.zeros(len(tasks)))
        self.adam = TaskAdam(len(tasks), lr)
        self._active_scale: Tensor | None = None

    def forward(self, gradients: TaskGradients) -> Tensor:
        scale = self.log_scale.exp()
        self._active_scale = scale[gradients.active].double().cpu()
        update = super().forward(gradients)
        slope = scale * positive(gradients.losses).to(scale) - 1
        self.adam.step(self.log_scale, slope, gradients.active)
        return update

    def weigh(self, gramian: Tensor) -> Tensor:
        scale = self._active_scale
        assert scale is not None
        return scale * on_nonzero(scale[:, None] * gramian * scale, impartial_weights)
