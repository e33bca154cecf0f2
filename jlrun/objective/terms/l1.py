"""L1: penalty on absolute weights."""

from __future__ import annotations

from torch import Tensor, nn

from jlrun.objective.terms.base import StepView, Term
from jlrun.objective.terms.selection import WeightSelection
from jlrun.objective.terms.totals import total
from jlrun.ranges import NonNegativeFloat


class L1(Term):
    """R = Σ |w| over the selected weights, which makes many of them nearly zero.

    Subgradient steps come close to zero but do not stay there.

    Args:
        weight: strength α of the term.
        parameters: regular expression found in the names of the weights, for example
            ``heads.digit``; biases and normalisation are never among them (`WeightSelection`).
    """

    def __init__(self, weight: NonNegativeFloat = 1e-5, parameters: str = "") -> None:
        super().__init__()
        self.weight = weight
        self.selection = WeightSelection(parameters)

    def check(self, model: nn.Module) -> None:
        self.selection.check(model)

    def forward(self, view: StepView) -> Tensor:
        return total((w.abs().sum() for w in self.selection.of(view.model)), view)
