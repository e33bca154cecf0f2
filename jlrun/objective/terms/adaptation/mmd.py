"""MMD: equal kernel means of features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar

import torch
from annotated_types import MinLen
from torch import Tensor

from jlrun.objective.terms.adaptation.kernels import gaussian_kernels, mean_discrepancy
from jlrun.objective.terms.adaptation.pairs import feature_rows, mean_over_pairs, target_pairs
from jlrun.objective.terms.base import Need, StepView, Term
from jlrun.ranges import NonNegativeFloat, PositiveFloat

Widths = Annotated[Sequence[PositiveFloat], MinLen(1)]
HALVINGS = (0.125, 0.25, 0.5, 1.0, 2.0)


class MMD(Term):
    """R = mean over sources of E k(s, s′) + E k(t, t′) − 2 E k(s, t) of the fused features.

    k is a sum of Gaussians with σ² = α times the mean squared distance of the rows of source and
    target. Eq. (1) of Long et al., "Learning Transferable Features with Deep Adaptation Networks",
    ICML 2015. Differs from it in: it takes all pairs, not one pair per row; the Gaussians have
    equal factors of 1, and there is one layer of features. Unbiased it is the Transfer Learning
    Library's, which adds a constant, 2 / (n − 1); skada's takes all pairs, rows with themselves
    too, as ``unbiased=false`` does.

    Args:
        weight: strength α of the term.
        kernels: the α of the Gaussians, at least one.
        unbiased: whether pairs of a row with itself are left out; then R is 0 on average where the
            distributions are equal, and may be negative.
    """

    needs: ClassVar[Need | None] = "target"
    compares_rows = True

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        kernels: Widths = HALVINGS,
        unbiased: bool = True,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.kernels = tuple(kernels)
        self.unbiased = unbiased

    def forward(self, view: StepView) -> Tensor:
        return mean_over_pairs(self._losses(view), view)

    def _losses(self, view: StepView) -> Iterator[Tensor]:
        for _, *both in target_pairs(view):
            source, target = (feature_rows(outputs, "mmd") for outputs in both)
            kernel = gaussian_kernels(torch.cat([source, target]), self.kernels)
            yield mean_discrepancy(kernel, len(source), self.unbiased)
