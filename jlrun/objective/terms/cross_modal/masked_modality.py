"""Masked modality: predicts the features of a hidden modality from the row's others."""

# B rows;  D_m features of modality m;  τ momentum of the teacher

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.augmentation.modality_dropout import presence, with_presence
from jlrun.data.batch import Batch
from jlrun.models.joint_model import JointModel, projection
from jlrun.objective.terms.base import Need, PhaseStart, StepView, Term, no_loss, precise, total
from jlrun.objective.terms.cross_modal.base import feature_widths
from jlrun.objective.terms.self_supervised.byol import teacher_momentum
from jlrun.objective.terms.self_supervised.projector import fused_width, placed
from jlrun.objective.terms.self_supervised.rows import encode
from jlrun.objective.terms.transfer.frozen import FrozenModel, follow
from jlrun.ranges import NonNegativeFloat, PositiveInt, Probability

_EPS = 1e-4


class MaskedModality(Term):
    """R = the mean over modalities of the share of their features' variance that is not explained.

    In each row one modality, drawn evenly from those it has, is hidden. The fused features of the
    others predict the teacher's features of the hidden one; the error is divided by the variance
    over the rows, so that it is 1 for the best constant and 0 for a perfect prediction, and
    collapsed features do not lower it. The teacher is a copy of the body that follows it: ξ ← τ ξ +
    (1 − τ) θ, τ from ``momentum`` to 1. As masked prediction of latents in Baevski et al.,
    "data2vec", ICML 2022, with modalities in the place of patches. Differs from it in: a whole
    modality is hidden, a small network per modality predicts, and targets are normalised over rows.
    Rows with one modality have none to hide. Unlike the other terms between modalities it also
    trains the fusion, for rows that lack a modality.

    Args:
        weight: strength α of the term.
        momentum: of the teacher at the start.
        hidden: units of the hidden layer of the predictors.
    """

    needs: ClassVar[Need | None] = "several modalities"
    teacher: FrozenModel
    predictors: nn.ModuleDict

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        momentum: Probability = 0.99,
        hidden: PositiveInt = 256,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.momentum = momentum
        self.hidden = hidden

    def begin_phase(self, start: PhaseStart) -> None:
        model, width = start.model, fused_width(start.model)
        made = {m: projection(width, self.hidden, d) for m, d in feature_widths(model).items()}
        self.predictors = placed(nn.ModuleDict(made), model)
        # The names of heads only: a body may compute features per head.
        no_heads = {name: nn.Identity() for name in model.heads}
        self.teacher = FrozenModel(JointModel(model.body, no_heads))

    @classmethod
    def spans_phase(cls, arguments: Mapping[str, Any]) -> bool:
        """Return True: the teacher's momentum grows over the phase."""
        return True

    def forward(self, view: StepView) -> Tensor:
        sums = [self._of(view.model, batch) for batch in view.batches.values()]
        found = [value for value in sums if value is not None]
        return total(found, view) / max(1, len(found)) if found else no_loss(view)

    def _of(self, model: nn.Module, batch: Batch) -> Tensor | None:
        """Return the loss of the rows with two modalities or more; None if there are none."""
        names = list(self.predictors)
        there = presence(batch, names)
        rows = (there.sum(dim=1) >= 2).nonzero().flatten()
        if not len(rows):
            return None
        batch, there = replace(batch, views=()).without_labels().select(rows), there[rows]
        drawn = torch.rand(there.shape, device=there.device).masked_fill(~there, -1).argmax(dim=1)
        left = there & ~F.one_hot(drawn, len(names)).bool()
        fused = encode(model, with_presence(batch, names, left))
        targets = self._targets(batch)
        losses, nothing_to_guess = [], []
        for i, m in enumerate(names):
            guess = precise(self.predictors[m](fused))
            own = drawn == i
            if int(own.sum()) < 2:
                nothing_to_guess.append(0 * guess.sum())
                continue
            losses.append(_unexplained(guess[own], targets[m][own].to(guess)))
        zero = sum(nothing_to_guess, start=fused.new_zeros(()))
        return torch.stack(losses).mean() + zero if losses else zero

    def _targets(self, batch: Batch) -> Mapping[str, Tensor]:
        with torch.no_grad():
            found = self.teacher.model.features(batch)
        return {m: f if f.ndim == 2 else f.flatten(2).mean(dim=2) for m, f in found.items()}

    def after_step(self, model: nn.Module, progress: float) -> None:
        body, copied = cast(JointModel, model).body, self.teacher.model.body
        follow(body, copied, teacher_momentum(self.momentum, progress))


def _unexplained(guess: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of ``(N, D)`` in units of each feature's variance."""
    with torch.autocast(guess.device.type, enabled=False):
        std = (target.var(dim=0, correction=0) + _EPS).sqrt()
        return (guess - (target - target.mean(dim=0)) / std).square().mean()
