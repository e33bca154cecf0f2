"""Projection on the dual cone: the nearest update that hurts no task."""

from __future__ import annotations

import numpy as np

from jlrun.objective.weightings.gramian import factor, nonnegative_least_squares


class DualCone:
    """Projects Σ u_i g_i on {d: g_i·d ≥ 0 for all i}.

    Quinton & Rey, "Jacobian Descent For Multi-Objective Optimization", 2024, proposition 1: the
    projection is Σ w_i g_i with w the minimum of wᵀGw over w ≥ u. With A Aᵀ = G, w = u + x where
    x ≥ 0 minimises ‖Aᵀx + Aᵀu‖.

    As in the authors' library, G is divided by its trace, and by less than ``norm_eps`` not at all
    but taken for 0; then ``reg_eps`` is added to its diagonal, for which the projection may hurt a
    task by a little.

    Args:
        gramian: G, ``(A, A)``.
        norm_eps: trace of G under which gradients count as 0.
        reg_eps: what is added to the diagonal of the normalised G.
    """

    def __init__(self, gramian: np.ndarray, norm_eps: float, reg_eps: float) -> None:
        trace = gramian.trace()
        normalized = gramian / trace if trace > 0 and trace >= norm_eps else np.zeros_like(gramian)
        self._factor = factor(normalized + reg_eps * np.eye(len(gramian)))

    def project(self, u: np.ndarray) -> np.ndarray:
        """Return w ``(A,)`` of u ``(A,)``."""
        return u + nonnegative_least_squares(self._factor.T, -(u @ self._factor))
