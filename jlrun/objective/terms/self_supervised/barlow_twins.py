"""Barlow Twins: each feature agrees between views and is uncorrelated with the others."""

# N rows;  P width of the projections;  C cross-correlation, (P, P)

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from jlrun.objective.terms.base import Need, PhaseStart, StepView, Term
from jlrun.objective.terms.self_supervised.projector import fused_width, placed, projector
from jlrun.objective.terms.self_supervised.rows import compare_views
from jlrun.ranges import NonNegativeFloat, PositiveInt

_EPS = 1e-5  # added to variances, as BatchNorm does in the authors' code


class BarlowTwins(Term):
    """R = Σ_i (1 − C_ii)² + λ Σ_{i≠j} C_ij², for the cross-correlation C of two views.

    Eqs. (1) and (2) of Zbontar et al., "Barlow Twins: Self-Supervised Learning via Redundancy
    Reduction", ICML 2021. Differs from it in: projections of 1024 numbers, not 8192. C is over the
    rows of the step, of all streams; with ``engine.accumulate``, over those of a micro-batch. A
    single row has no correlation, and R is 0.

    Args:
        weight: strength α of the term.
        off_diagonal: λ, strength of the redundancy reduction.
        hidden: units of each of the projector's two hidden layers.
        out_features: width of the projections.
    """

    needs: ClassVar[Need | None] = "views"
    compares_rows = True
    projector: nn.Module

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        off_diagonal: NonNegativeFloat = 5e-3,
        hidden: PositiveInt = 1024,
        out_features: PositiveInt = 1024,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.off_diagonal = off_diagonal
        self.hidden = hidden
        self.out_features = out_features

    def begin_phase(self, start: PhaseStart) -> None:
        width = fused_width(start.model)
        made = projector(width, self.hidden, self.out_features, layers=3, bias=False)
        self.projector = placed(made, start.model)

    def forward(self, view: StepView) -> Tensor:
        return compare_views(view, self.projector, self._loss)

    def _loss(self, first: Tensor, second: Tensor) -> Tensor:
        return barlow_loss(first, second, self.off_diagonal)


def barlow_loss(first: Tensor, second: Tensor, off_diagonal: float) -> Tensor:
    """Return the loss of projections ``(N, P)`` of two views; N at least 2."""
    correlation = _standardised(first).T @ _standardised(second) / len(first)
    agreement = correlation.diagonal()
    redundancy = correlation.square().sum() - agreement.square().sum()
    return (1 - agreement).square().sum() + off_diagonal * redundancy


def _standardised(z: Tensor) -> Tensor:
    centred = z - z.mean(dim=0)
    return centred * (centred.square().mean(dim=0) + _EPS).rsqrt()
