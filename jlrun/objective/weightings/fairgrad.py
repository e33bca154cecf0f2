"""Fair resource allocation."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from jlrun.objective.weightings.base import GramianWeighting
from jlrun.objective.weightings.gramian import on_nonzero, unit_rows
from jlrun.ranges import PositiveFloat

# Where ‖Σ w_i g_i‖² is less than this part of (Σ w_i ‖g_i‖)², gradients nearly cancel, and float32
# does not resolve the direction of the rest: a ridge of this size keeps the weights bounded then.
CANCELLED = 1e-9


class FairGrad(GramianWeighting):
    """Share the gain g_i·d of an update d between the tasks with α-fairness.

    Ban & Ji, "Fair Resource Allocation in Multi-Task Learning", ICML 2024, eq. (4):
    G w = w^(−1/α), w > 0. α = 1 is proportional fairness (Nash-MTL), large α is max-min fairness.
    Differs from it in: solved by Newton's method to full precision; where task gradients cancel
    each other, and no solution exists, w is the combination that cancels them, or, where that is
    not positive, the solution of G with a small ridge. The weights are not invariant to the scale
    of the losses: w(κG) = κ^(−α/(1+α)) w(G).

    Args:
        tasks: names of the tasks.
        alpha: α.
    """

    def __init__(self, tasks: tuple[str, ...], alpha: PositiveFloat = 2.0) -> None:
        super().__init__(tasks)
        self.alpha = alpha

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        return on_nonzero(gramian, lambda array: fair_weights(array, self.alpha))


def fair_weights(gramian: np.ndarray, alpha: float) -> np.ndarray:
    """Return the w ``(A,)`` > 0 with G w = w^(−1/α), of gradients that are not zero.

    With the cosines C, w_i = β_i ‖g_i‖^(−2α/(1+α)), a task's own solution at β_i = 1, turns it into
    C y = r β^(−1/α), y = r β, r_i = ‖g_i‖^((1−α)/(1+α)) (of which a common factor cancels).
    """
    norms, cosines = unit_rows(gramian)
    r = (norms / norms.max()) ** ((1 - alpha) / (1 + alpha))
    beta = newton(cosines, r, alpha)
    if beta is None:
        beta = cancelling(cosines, r, alpha)
    if beta is None:
        beta = newton(cosines + CANCELLED * np.eye(len(r)), r, alpha)
        assert beta is not None, "a ridge bounds the ratio"
    return beta * norms ** (-2 * alpha / (1 + alpha))


def cancelling(c: np.ndarray, r: np.ndarray, alpha: float) -> np.ndarray | None:
    """Return the β > 0 whose r β has the direction in which C y all but vanishes.

    Solutions tend to it as gradients come to cancel each other: then the point is near the Pareto
    front, and anything else would move along it. None if no such direction has positive entries.
    """
    eigenvalues, vectors = np.linalg.eigh(c)
    q = vectors[:, 0] * np.sign(vectors[0, 0])
    if eigenvalues[0] > CANCELLED * eigenvalues[-1] or not (q > 0).all():
        return None
    # y = s q, with the length s that qᵀ C y = Σ q_i r_i β_i^(−1/α) asks for
    least = CANCELLED * eigenvalues[-1]
    s = (float((q * r) @ (q / r) ** (-1 / alpha)) / least) ** (alpha / (1 + alpha))
    return s * q / r


def newton(c: np.ndarray, r: np.ndarray, alpha: float) -> np.ndarray | None:
    """Return the β > 0 with C (r β) = r β^(−1/α); None if the gradients cancel.

    It is the minimum of the convex ½ yᵀCy − Σ r_i² φ(β_i), φ' = β^(−1/α), whose second derivatives
    are r_i (C + diag(β^(−1/α−1) / α))_ij r_j. Steps are halved until they do not lead far uphill.
    """
    power = -1 / alpha
    square = max(float(r @ c @ r), CANCELLED * float(r @ r))
    beta = np.full(len(r), (float(r @ r) / square) ** (alpha / (1 + alpha)))  # the best equal β
    pull = beta**power
    residual = c @ (r * beta) - r * pull
    for _ in range(200):
        hessian = c.copy()
        hessian.flat[:: len(r) + 1] += pull / (alpha * beta)
        step = -np.linalg.solve(hessian, residual)  # of y
        slope = -float(residual @ step)
        size = min(1.0, 0.95 / max(float((-step / (r * beta)).max()), 0.95))
        for _ in range(60):
            new_beta = beta + size * step / r
            new_pull = new_beta**power
            cy = c @ (r * new_beta)
            new_residual = cy - r * new_pull
            if float(new_residual @ step) <= 0.5 * slope:
                break
            size /= 2
        else:
            break  # at the precision of the residual
        beta, pull, residual = new_beta, new_pull, new_residual
        if float(r * beta @ cy) < 0.5 * CANCELLED * float(r @ beta) ** 2 / len(r):
            return None
        # The second part is what rounding leaves of a sum in which gradients all but cancel.
        if (np.abs(residual) <= 1e-13 * r * pull + 1e-15 * (np.abs(c) @ (r * beta))).all():
            break
    return beta
