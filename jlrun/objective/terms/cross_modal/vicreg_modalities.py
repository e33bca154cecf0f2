"""VICReg between the modalities of a row."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from jlrun.objective.terms.cross_modal.base import CrossModal, Pair
from jlrun.objective.terms.self_supervised.vicreg import vicreg_loss
from jlrun.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt


class VICRegModalities(CrossModal):
    """R = the mean over pairs of modalities of the loss of `VICReg`, of their projections.

    Bardes, Ponce and LeCun, "VICReg: Variance-Invariance-Covariance Regularization for
    Self-Supervised Learning", ICLR 2022, between modalities, each with its own expander. It
    needs no negatives. Differs from it in: as `VICReg`, and an expander has one hidden layer, with
    LayerNorm.

    Args:
        weight, space, modalities, anchor, hidden, out_features: as in `CrossModal`.
        invariance, variance, covariance: strengths of the three parts.
    """

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        space: str = "vicreg_modalities",
        modalities: Sequence[str] | None = None,
        anchor: str | None = None,
        hidden: NonNegativeInt = 512,
        out_features: PositiveInt = 512,
        invariance: NonNegativeFloat = 25.0,
        variance: NonNegativeFloat = 25.0,
        covariance: NonNegativeFloat = 1.0,
    ) -> None:
        super().__init__(weight, space, modalities, anchor, None, hidden, out_features)
        self.invariance = invariance
        self.variance = variance
        self.covariance = covariance

    def pair_loss(self, pair: Pair) -> Tensor:
        strengths = self.invariance, self.variance, self.covariance
        return vicreg_loss(pair.first, pair.second, *strengths)
