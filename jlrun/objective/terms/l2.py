"""L2: penalty on squared weights."""

from __future__ import annotations

from torch import Tensor, nn

from jlrun.objective.terms.base import StepView, Term
from jlrun.objective.terms.selection import WeightSelection
from jlrun.objective.terms.totals import total
from jlrun.ranges import NonNegativeFloat


class L2(Term):
    """R = Σ w² over the selected weights.

    Each task can have its own strength α_k, by one copy of the term per task under its own name:
    ``+terms.l2_digit={_target_: jlrun.objective.terms.L2, parameters: heads.digit, weight: 1e-3}``.

    Args:
        weight: strength α of the term. The gradient is 2αw: α = d/2 acts like weight decay d in
            plain SGD.
        parameters: regular expression found in the names of the weights, for example
            ``heads.digit``; biases and normalisation are never among them (`WeightSelection`).
    """

    def __init__(self, weight: NonNegativeFloat = 1e-4, parameters: str = "") -> None:
        super().__init__()
        self.weight = weight
        self.selection = WeightSelection(parameters)

    def check(self, model: nn.Module) -> None:
        self.selection.check(model)

    def forward(self, view: StepView) -> Tensor:
        return total((w.square().sum() for w in self.selection.of(view.model)), view)
