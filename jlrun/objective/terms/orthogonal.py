"""Soft orthogonality of weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jlrun.objective.terms.base import StepView, Term
from jlrun.objective.terms.selection import WeightSelection
from jlrun.objective.terms.totals import no_loss, total
from jlrun.ranges import NonNegativeFloat


class Orthogonal(Term):
    """R = Σ ‖WWᵀ − I‖²_F over the selected weights, each as a matrix (outputs, everything else).

    Soft orthogonality of Bansal et al., "Can We Gain More from Orthogonality Regularizations in
    Training Deep CNNs?", NeurIPS 2018. Differs from it in: the smaller of WWᵀ and WᵀW is
    taken, as only that one can be the identity.

    Args:
        weight: strength α of the term.
        parameters: regular expression found in the names of the weights, for example
            ``encoders``; biases and normalisation are never among them (`WeightSelection`).
    """

    def __init__(self, weight: NonNegativeFloat = 1e-4, parameters: str = "") -> None:
        super().__init__()
        self.weight = weight
        self.selection = WeightSelection(parameters)

    def check(self, model: nn.Module) -> None:
        self.selection.check(model)

    def forward(self, view: StepView) -> Tensor:
        weights = self.selection.of(view.model)
        # in half precision the products would be too coarse to compare with 1
        with torch.autocast(no_loss(view).device.type, enabled=False):
            return total((_distance(w.flatten(1)) for w in weights), view)


def _distance(matrix: Tensor) -> Tensor:
    rows, columns = matrix.shape
    wide = matrix if rows <= columns else matrix.T
    gramian = wide @ wide.T
    return (gramian - torch.eye(len(wide), dtype=wide.dtype, device=wide.device)).square().sum()
