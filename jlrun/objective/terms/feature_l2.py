"""Feature L2: penalty on the norm of the features."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.objective.terms.base import StepView, Term
from jlrun.objective.terms.totals import no_loss, precise
from jlrun.ranges import NonNegativeFloat


class FeatureL2(Term):
    """R = mean over all rows of ‖z‖², the squared norm of the fused features z.

    Under late fusion z holds the features of all modalities side by side, and their presence.

    Args:
        weight: strength α of the term.
    """

    def __init__(self, weight: NonNegativeFloat = 1e-4) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, view: StepView) -> Tensor:
        if not view.outputs:
            return no_loss(view)
        rows = torch.cat([output.fused for output in view.outputs.values()])
        return precise(rows).square().sum(dim=1).mean()
