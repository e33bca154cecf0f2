"""Conflict-averse gradient descent."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from jlrun.objective.weightings.base import GramianWeighting
from jlrun.objective.weightings.gramian import factor, nonnegative_least_squares
from jlrun.ranges import NonNegativeFloat

# Smallest ‖residual‖² at which constraints count as compatible: they are met within a thousand
# times ‖g_0‖. Beyond that, float32 gradients are indistinguishable from a Pareto-stationary point.
SMALLEST_RESIDUAL = 1e-6


class CAGrad(GramianWeighting):
    """Of all updates near the mean gradient, take the one that improves the worst task most.

    Liu, Liu, Jin, Stone & Liu, "Conflict-Averse Gradient Descent for Multi-task Learning", NeurIPS
    2021: max_d min_i g_i·d with ‖d − g_0‖ ≤ c‖g_0‖, g_0 the mean gradient; in its
    algorithm 1, d = g_0 + (c‖g_0‖ / ‖g_w‖) g_w with w the point of the simplex that minimises
    g_w·g_0 + c‖g_0‖‖g_w‖. Differs from it in: the solution is exact. Where g_w = 0 its direction
    is not defined and the maximum is 0; then d is the solution nearest to g_0, its projection on
    the cone of updates that hurt no task. The weights are of the scale of the mean, not the sum.

    Args:
        tasks: names of the tasks.
        c: radius of the ball, in units of ‖g_0‖. From 1 on, the mean loss need not fall.
        rescale: divide the update by nothing, as published, by 1 + c (``linear``), or by 1 + c²
            (``squared``), the default of the authors' code.
    """

    def __init__(
        self,
        tasks: tuple[str, ...],
        c: NonNegativeFloat = 0.4,
        rescale: Literal["none", "linear", "squared"] = "none",
    ) -> None:
        super().__init__(tasks)
        self.c = c
        self.divisor = {"none": 1.0, "linear": 1.0 + c, "squared": 1.0 + c**2}[rescale]

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        mean = np.full(len(gramian), 1 / len(gramian))
        weights = mean + conflict_averse_multipliers(gramian.numpy(), self.c)
        return torch.from_numpy(weights / self.divisor)


def conflict_averse_multipliers(gramian: np.ndarray, c: float) -> np.ndarray:
    """Return λ ``(A,)`` ≥ 0 such that CAGrad's update is g_0 + Σ λ_i g_i.

    x(τ) = Jᵀλ is the shortest step from g_0 with g_i·(g_0 + x) ≥ τ for all i. Its length is convex
    and rises with τ, with slope Σλ_i / ‖x‖: Newton's method from above finds the τ at which it is
    the radius of the ball, and this is CAGrad's maximum.
    """
    squares = gramian.diagonal()
    largest = squares.max()
    if largest <= 0:
        return np.zeros(len(gramian))
    a = factor(gramian / largest)  # J in coordinates of its rows' span
    g_0 = a.mean(axis=0)
    length = float(np.linalg.norm(g_0))
    radius = c * length
    if radius == 0:
        return np.zeros(len(gramian))
    b = a @ g_0
    tau = float((b + radius * np.sqrt(squares / largest)).min())  # the best of each task alone
    multipliers = shortest_step(a, tau - b, length)
    if multipliers is None:  # Pareto-stationary: not all tasks can gain
        tau = min(tau, 0.0)
        multipliers = shortest_step(a, tau - b, length)
    assert multipliers is not None, "no step but −g_0 is needed where τ is 0"
    for _ in range(100):
        distance = float(np.linalg.norm(multipliers @ a))
        excess = distance - radius
        if excess <= 1e-13 * radius:
            break
        tau -= excess * distance / multipliers.sum()
        nearer = shortest_step(a, tau - b, length)
        if nearer is None:
            break
        multipliers = nearer
    return multipliers


def shortest_step(a: np.ndarray, h: np.ndarray, unit: float) -> np.ndarray | None:
    """Return the λ ≥ 0 for which x = aᵀλ is the shortest with a x ≥ h; None if there is no such x.

    Lawson & Hanson, "Solving Least Squares Problems", 1974, chapter 23, problem LDP.

    Args:
        a: rows of constraints, ``(A, A)``.
        h: their bounds, ``(A,)``.
        unit: a length that ‖x‖ is expected to be near to.
    """
    target = np.zeros(len(a) + 1)
    target[-1] = 1.0
    h = h / unit
    u = nonnegative_least_squares(np.vstack([a.T, h]), target)
    residual = 1.0 - float(h @ u)
    if residual < SMALLEST_RESIDUAL:
        return None
    return u * (unit / residual)
