"""Impartial multi-task learning, the gradient part."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from jlrun.objective.weightings.base import GramianWeighting
from jlrun.objective.weightings.gramian import RANK_TOLERANCE, on_nonzero, unit_rows


class IMTLG(GramianWeighting):
    """Make the projections of the update on all task gradients equal.

    Liu et al., "Towards Impartial Multi-task Learning", ICLR 2021, the gradient balance: g·g_i /
    ‖g_i‖ is the same for all i and Σ w_i = 1, so that w = v / Σ v_i with G v = (‖g_i‖)_i. Differs
    from it in: where gradients are linearly dependent v is that of the pseudo-inverse, as in
    Quinton & Rey, "Jacobian Descent For Multi-Objective Optimization", 2024, unless a combination
    with positive weights cancels them, which is w then; where Σ v_i is 0 so is the update.
    Weights may be negative; where Σ v_i is, the update leads uphill for all tasks, as published.

    Args:
        tasks: names of the tasks.
    """

    def weigh(self, gramian: Tensor) -> Tensor:
        return on_nonzero(gramian, impartial_weights)


def impartial_weights(gramian: np.ndarray) -> np.ndarray:
    """Return IMTL-G's w ``(A,)``, of a sum of 1, or all 0."""
    v = impartial_solution(gramian)
    total = v.sum()
    return v / total if abs(total) > RANK_TOLERANCE * np.abs(v).sum() else np.zeros(len(v))


def impartial_solution(gramian: np.ndarray) -> np.ndarray:
    """Return v ``(A,)`` with G v = (‖g_i‖)_i, of least norm where that is singular."""
    norms, cosines = unit_rows(gramian)
    eigenvalues, vectors = np.linalg.eigh(cosines)
    if eigenvalues[0] > RANK_TOLERANCE * eigenvalues[-1]:
        return vectors @ (vectors.sum(axis=0) / eigenvalues) / norms
    if (vectors[:, 0] > 0).all() or (vectors[:, 0] < 0).all():
        # A convex combination of the gradients all but cancels: the point is near the Pareto front,
        # and this combination, which the inverse would tend to, is the update.
        return np.abs(vectors[:, 0]) / norms
    scale = norms.max()
    return np.linalg.pinv(gramian / scale**2, RANK_TOLERANCE, hermitian=True) @ norms / scale**2
