"""Squared weights."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.ranges import NonNegativeFloat
from jlrun.terms.base import StepView, Term
from jlrun.terms.selection import weights_matching


class L2(Term):
    """R = Σ w² over the selected weights.

    One term per task gives each its own strength α_k: copy the option under another name with
    ``+terms.l2_digit={_target_: jlrun.terms.L2, parameters: heads.digit, weight: 1e-3}``.

    Args:
        weight: strength α of the term. The gradient is 2αw: α = 0.5 · d acts like weight decay d
            in plain SGD.
        parameters: regular expression found in the names of the weights, such as ``heads.digit``;
            biases and normalisation parameters are never selected (`weights_matching`).
    """

    def __init__(self, weight: NonNegativeFloat = 1e-4, parameters: str = "") -> None:
        super().__init__()
        self.weight = weight
        self.parameters_pattern = parameters

    def forward(self, view: StepView) -> Tensor:
        weights = weights_matching(view.model, self.parameters_pattern, "terms.l2.parameters")
        return torch.stack([w.square().sum() for w in weights.values()]).sum()
