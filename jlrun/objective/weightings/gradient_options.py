"""Options of task gradients: where they are taken, and where the update goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jlrun.errors import UserError
from jlrun.objective.weightings.base import GradientSource, GradientWeighting, Weighting
from jlrun.ranges import PositiveInt


@dataclass(frozen=True)
class GradientOptions:
    """Options of every weighting of task gradients, which training applies.

    Attributes:
        gradients: with respect to the shared ``features``, at the cost of one pass through each
            head, or to the shared ``parameters``, at one pass through the model for each task.
            Where tasks have no features in common (several data sets, a trunk for each task) they
            are of the parameters in any case.
        head_grad: what parameters of one task follow: the gradient of Σ L_i (``unweighted``, as in
            LibMTL and TorchJD) or of Σ w_i L_i (``weighted``, as in Nash-MTL's code).
        update_every: steps that share one solution for the weights.
    """

    gradients: GradientSource = "features"
    head_grad: Literal["unweighted", "weighted"] = "unweighted"
    update_every: PositiveInt = 1

    def check(self, weighting: Weighting) -> None:
        """Check that the weighting supports the options.

        Raises:
            UserError: if it needs gradients of the parameters, or has no weights to reuse.
        """
        if not isinstance(weighting, GradientWeighting):
            return
        name = type(weighting).__name__
        if self.gradients not in weighting.sources:
            raise UserError.of(
                "weighting.gradients",
                f"'{self.gradients}': {name} compares gradients of different rows, which features "
                "do not allow; use weighting.gradients=parameters",
            )
        if self.update_every > 1 and not weighting.reuses_weights:
            raise UserError.of(
                "weighting.update_every",
                f"{self.update_every}: {name} has no weights to use again; use 1",
            )
