"""Uniform baseline: every modality also learns the tasks alone."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from jlrun.objective.balance.base import Balance, BalanceStart, Measured, MicroBatchView, StepDone
from jlrun.objective.balance.unimodal import UnimodalHeads, loss_readings
from jlrun.ranges import NonNegativeFloat


class Uniform(Balance):
    """``L = L_mm + λ Σ_m L_m``: linear unimodal heads, whose losses reach the encoders.

    L_m is the sum over tasks of the mean loss over the rows that have the modality and a label.
    It is added to the weighted task losses, as terms are. The uniform baseline
    of Wei & Hu, "MMPareto", ICML 2024, which most methods fail to beat.

    Args:
        weight: λ.
    """

    def __init__(self, weight: NonNegativeFloat = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def begin_phase(self, start: BalanceStart) -> None:
        super().begin_phase(start)
        self.heads = UnimodalHeads(start)

    def measure(self, view: MicroBatchView) -> Measured:
        losses = self.heads.losses(view)
        total = self.weight * (losses * view.scales).sum()
        return Measured(total, seen={"losses": losses.detach()})

    def after_backward(self, done: StepDone) -> Mapping[str, Tensor]:
        return loss_readings(done.seen["losses"], done.counts, self.modalities, self.objectives)
