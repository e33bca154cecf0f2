"""VICReg: views agree, each feature varies, and features are uncorrelated."""

# N rows;  P width of the projections

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.objective.terms.base import Need, PhaseStart, StepView, Term
from jlrun.objective.terms.self_supervised.projector import fused_width, placed, projector
from jlrun.objective.terms.self_supervised.rows import compare_views
from jlrun.ranges import NonNegativeFloat, PositiveInt

_EPS = 1e-4


class VICReg(Term):
    """R = λ s(Z, Z′) + μ [v(Z) + v(Z′)] / 2 + ν [c(Z) + c(Z′)] of the projections of two views.

    s is the mean squared difference, v the mean over features of max(0, 1 − √(variance + 10⁻⁴)), c
    the squared covariances of different features, summed and divided by their number P. Eqs. (1) to
    (6) of Bardes, Ponce and LeCun, "VICReg: Variance-Invariance-Covariance Regularization for
    Self-Supervised Learning", ICLR 2022. Differs from it in: s is a mean over features too and v is
    halved, both as in the authors' code; projections of 1024 numbers, not 8192. The statistics are
    over the rows of the step, of all streams; with ``engine.accumulate``, over those of a
    micro-batch. A single row has none, and R is 0.

    Args:
        weight: strength α of the term.
        invariance: λ.
        variance: μ.
        covariance: ν.
        hidden: units of each of the projector's two hidden layers.
        out_features: width of the projections.
    """

    needs: ClassVar[Need | None] = "views"
    compares_rows = True
    projector: nn.Module

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        invariance: NonNegativeFloat = 25.0,
        variance: NonNegativeFloat = 25.0,
        covariance: NonNegativeFloat = 1.0,
        hidden: PositiveInt = 1024,
        out_features: PositiveInt = 1024,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.invariance = invariance
        self.variance = variance
        self.covariance = covariance
        self.hidden = hidden
        self.out_features = out_features

    def begin_phase(self, start: PhaseStart) -> None:
        width = fused_width(start.model)
        made = projector(width, self.hidden, self.out_features, layers=3, bias=False)
        self.projector = placed(made, start.model)

    def forward(self, view: StepView) -> Tensor:
        return compare_views(view, self.projector, self._loss)

    def _loss(self, first: Tensor, second: Tensor) -> Tensor:
        return vicreg_loss(first, second, self.invariance, self.variance, self.covariance)


def vicreg_loss(
    first: Tensor, second: Tensor, invariance: float, variance: float, covariance: float
) -> Tensor:
    """Return λ s + μ v + ν c of two projections of the same rows, ``(N, P)``, N at least 2."""
    return (
        invariance * F.mse_loss(first, second)
        + variance * (_variance(first) + _variance(second)) / 2
        + covariance * (_covariance(first) + _covariance(second))
    )


def _variance(z: Tensor) -> Tensor:
    return F.relu(1 - (z.var(dim=0) + _EPS).sqrt()).mean()


def _covariance(z: Tensor) -> Tensor:
    centred = z - z.mean(dim=0)
    covariance = centred.T @ centred / (len(z) - 1)
    return (covariance.square().sum() - covariance.diagonal().square().sum()) / z.shape[1]
