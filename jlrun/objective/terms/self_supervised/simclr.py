"""SimCLR: views of a row are nearer to each other than to other rows."""

# M rows, of all views;  P width of the projections;  τ temperature

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.objective.terms.base import Need, PhaseStart, StepView, Term
from jlrun.objective.terms.self_supervised.projector import fused_width, placed, projector
from jlrun.objective.terms.self_supervised.rows import compare_views
from jlrun.ranges import NonNegativeFloat, PositiveFloat, PositiveInt


class SimCLR(Term):
    """R = NT-Xent of the projections of two views of each row; other rows are the negatives.

    Eq. (1) of Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations",
    ICML 2020. Differs from it in: nothing but sizes, which suit small encoders. The negatives are
    the other rows of the step, of all streams; with ``engine.accumulate``, those of the same
    micro-batch. A single row has none, and R is 0.

    Args:
        weight: strength α of the term.
        temperature: τ, by which cosines are divided.
        hidden: units of the projector's hidden layer.
        out_features: width of the projections.
    """

    needs: ClassVar[Need | None] = "views"
    compares_rows = True
    projector: nn.Module

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        temperature: PositiveFloat = 0.2,
        hidden: PositiveInt = 512,
        out_features: PositiveInt = 128,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.temperature = temperature
        self.hidden = hidden
        self.out_features = out_features

    def begin_phase(self, start: PhaseStart) -> None:
        made = projector(fused_width(start.model), self.hidden, self.out_features)
        self.projector = placed(made, start.model)

    def forward(self, view: StepView) -> Tensor:
        return compare_views(view, self.projector, self._loss)

    def _loss(self, first: Tensor, second: Tensor) -> Tensor:
        row = torch.arange(len(first), device=first.device).repeat(2)
        return contrastive_loss(torch.cat([first, second]), row, self.temperature)


def contrastive_loss(z: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Return the mean over rows i of −1/|P(i)| Σ_{p∈P(i)} log softmax_{a≠i}(cos(z_i, z_a) / τ)_p.

    P(i) are the other rows of the same class: eq. (2) of Khosla et al., "Supervised Contrastive
    Learning", NeurIPS 2020 (L_out). With a class for each pair of views it is NT-Xent, eq. (1) of
    Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.

    Args:
        z: projections ``(M, P)``, of any length.
        classes: ``(M,)``; each occurs at least twice.
        temperature: τ.
    """
    z = F.normalize(z, dim=1)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    similarity = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    log_share = similarity.log_softmax(dim=1)
    positive = (classes[:, None] == classes) & ~itself
    return -(log_share.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1)).mean()
