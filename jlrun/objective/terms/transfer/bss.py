"""BSS: batch spectral shrinkage of small singular values."""

# F features (B, D), σ_i their singular values, r = min(B, D)

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.errors import UserError
from jlrun.objective.terms.base import StepView, Term, no_loss, precise
from jlrun.ranges import NonNegativeFloat, PositiveInt


class BSS(Term):
    """R = Σ_{i=1..k} σ²_{r+1−i}: the k smallest singular values of the features of a batch.

    L_bss of Chen et al., "Catastrophic Forgetting Meets Negative Transfer: Batch Spectral
    Shrinkage for Safe Transfer Learning", NeurIPS 2019. Differs from it in: the gradient is
    2 Σ σ u vᵀ of the singular vectors that were found, which is finite where singular values are
    repeated or 0, unlike that through the decomposition. F holds the rows of all streams.

    Args:
        weight: strength of the term (the paper's η).
        k: number of singular values; more than r means all of them.
    """

    needs = "learned weights"

    def __init__(self, weight: NonNegativeFloat = 0.001, k: PositiveInt = 1) -> None:
        super().__init__()
        self.weight = weight
        self.k = k

    def forward(self, view: StepView) -> Tensor:
        if not view.outputs:
            return no_loss(view)
        features = precise(torch.cat([output.fused for output in view.outputs.values()]))
        if features.ndim > 2:
            raise UserError.of(
                "terms.bss", "the features are maps, which have no rows to compare; leave it out"
            )
        if not len(features):
            return features.sum()
        with torch.autocast(features.device.type, enabled=False):  # products would lose digits
            return squared_smallest(features, self.k)


def squared_smallest(features: Tensor, k: int) -> Tensor:
    """Return the sum of the k smallest squared singular values of ``(B, D)``, a scalar."""
    with torch.no_grad():
        # The decomposition raises on values that are not finite; the loop refuses their product
        # below.
        u, _, _ = torch.linalg.svd(features.nan_to_num(), full_matrices=False)
    feeble = u[:, -k:]  # singular values are in descending order
    return (feeble.T @ features).square().sum()
