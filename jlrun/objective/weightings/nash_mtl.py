"""Nash bargaining between tasks."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from jlrun.objective.weightings.base import GramianWeighting
from jlrun.objective.weightings.fairgrad import fair_weights
from jlrun.objective.weightings.gramian import on_nonzero
from jlrun.ranges import NonNegativeFloat


class NashMTL(GramianWeighting):
    """Update on which tasks that bargain over it agree: max Σ log g_i·d in a ball.

    Navon et al., "Multi-Task Learning as a Bargaining Game", ICML 2022, claim 3.1: G w = 1/w,
    w > 0, the minimum of ½ wᵀGw − Σ log w_i. Differs from it in: solved by Newton's method to full
    precision, where the authors' code takes a few steps of a sequence of convex programs; where
    task gradients cancel, and no solution exists, w is the combination that cancels them,
    as in `FairGrad`. The direction does not depend on the scale of any loss; ‖d‖ is √T before it is
    limited (the authors' code divides G by its Frobenius norm first: there ‖d‖ shrinks with the
    gradients).

    Args:
        tasks: names of the tasks.
        max_norm: largest norm of the update, as in the authors' code; 0 for no limit.
    """

    def __init__(self, tasks: tuple[str, ...], max_norm: NonNegativeFloat = 1.0) -> None:
        super().__init__(tasks)
        self.max_norm = max_norm

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        return on_nonzero(gramian, self._solve)

    def _solve(self, gramian: np.ndarray) -> np.ndarray:
        weights = fair_weights(gramian, alpha=1.0)
        norm = np.sqrt(max(float(weights @ gramian @ weights), 0.0))
        limit = self.max_norm or np.inf
        return weights * (limit / norm) if norm > limit else weights
