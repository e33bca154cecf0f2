"""Gradient-Blend: unimodal and multimodal losses weighted by how little they overfit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from jlrun.models.module_state import evaluating
from jlrun.objective.balance.base import (
    TAG,
    Balance,
    BalanceStart,
    EpochView,
    Measured,
    MicroBatchView,
    StepDone,
)
from jlrun.objective.balance.unimodal import UnimodalHeads, loss_readings
from jlrun.objective.labelled_rows import num_usable, objective_loss
from jlrun.ranges import PositiveInt, ProperShare

# A loss that did not overfit at all would have all the weight, by whatever little it improved.
LEAST_OVERFITTING = 1e-3
HELD_OUT = 0.1


class GradientBlend(Balance):
    """``L = w_0 L_mm + Σ_m w_m L_m`` with w ∝ ΔG / ΔO², Σ w = 1, found anew in each super-epoch.

    Over a super-epoch, ΔG is how much a loss fell on rows that are held out of training, and ΔO how
    much its excess there over the training rows grew. Wang, Tran & Feiszli, "What Makes Training
    Multi-Modal Classification Networks Hard?", CVPR 2020, proposition 1 and algorithm 2 (online).

    Differs from it in: the losses are those of the one model that is being trained, where the paper
    trains a copy for each of them in every super-epoch; a loss that rose on held-out rows has
    weight 0 (all did: weights stay), and |ΔO| is at least 0.001. Weights are equal in the first
    super-epoch. A weighting of tasks sees their losses times w_0. The held-out rows are drawn from
    the training rows, so that neither the validation nor the test split is used; rows of a group
    may be on both sides.

    Args:
        super_epochs: epochs of a super-epoch; the paper's is 10 of 45 to 60.
        held_out: share of the training rows that is held out.
    """

    def __init__(self, super_epochs: PositiveInt = 10, held_out: ProperShare = HELD_OUT) -> None:
        super().__init__()
        self.super_epochs = super_epochs  # rows are held out by the plan, which asks the class
        self.weights: Tensor
        self.start: Tensor

    @classmethod
    def held_out(cls, arguments: Mapping[str, Any]) -> float:
        return float(arguments.get("held_out", HELD_OUT))

    def begin_phase(self, start: BalanceStart) -> None:
        super().begin_phase(start)
        self.heads = UnimodalHeads(start)
        count = len(self.modalities) + 1
        self.register_buffer("weights", torch.full((count,), 1 / count))
        self.register_buffer("start", torch.zeros(count, 2))

    @property
    def task_factor(self) -> Tensor | float:
        return self.weights[0]

    def measure(self, view: MicroBatchView) -> Measured:
        losses = self.heads.losses(view)
        total = (self.weights[1:, None] * losses * view.scales).sum()
        return Measured(total, seen={"losses": losses.detach()})

    def after_backward(self, done: StepDone) -> Mapping[str, Tensor]:
        names = ("fused", *self.modalities)
        readings = {f"{TAG}{name}": w for name, w in zip(names, self.weights, strict=True)}
        losses = done.seen["losses"]
        return readings | loss_readings(losses, done.counts, self.modalities, self.objectives)

    @torch.no_grad()
    def after_epoch(self, view: EpochView, epoch: int) -> None:
        if epoch % self.super_epochs:
            return
        with evaluating(view.model):
            losses = torch.stack([self._losses(view, held) for held in (False, True)], dim=1)
        if epoch:
            self.weights = blended(self.start, losses, self.weights)
        self.start = losses

    def _losses(self, view: EpochView, held: bool) -> Tensor:
        """Return L_mm and L_m ``(M + 1,)`` on held-out rows, or on as many training rows."""
        shape = len(self.modalities) + 1, len(self.objectives)
        sums, counts = self.weights.new_zeros(shape), self.weights.new_zeros(shape)
        for name in dict.fromkeys(o.stream for o in self.objectives):
            stream = view.held[name]
            if not held:
                stream = view.train[name].sample(len(stream.rows))
            heads = tuple(dict.fromkeys(o.head for o in self.objectives if o.stream == name))
            for batch in stream.sweep():
                with view.autocast():
                    outputs = view.model(batch, heads)
                    sums[1:] += self.heads.sums({name: batch}, {name: outputs})
                counts[1:] += num_usable(self.objectives, self.modalities, {name: batch})
                for k, o in enumerate(self.objectives):
                    if o.stream == name:
                        loss, count = objective_loss(o, outputs.logits[o.head], batch)
                        sums[0, k] += loss
                        counts[0, k] += count
        scales = sums.new_tensor([o.scale for o in self.objectives])
        return (sums / counts.clamp(min=1) * scales).sum(dim=1)


def blended(before: Tensor, after: Tensor, weights: Tensor) -> Tensor:
    """Return w ∝ ΔG / ΔO², of sum 1.

    Args:
        before: losses on training and held-out rows as the super-epoch began, ``(L, 2)``.
        after: at its end.
        weights: those of before, which stay where no loss fell on held-out rows.
    """
    gain = (before[:, 1] - after[:, 1]).clamp(min=0)
    excess = (after[:, 1] - after[:, 0]) - (before[:, 1] - before[:, 0])
    w = gain / excess.abs().clamp(min=LEAST_OVERFITTING) ** 2
    return w / w.sum() if bool(w.sum() > 0) else weights
