"""Aligned-MTL: independent component alignment."""

from __future__ import annotations

from typing import Literal

import numpy as np
from torch import Tensor

from jlrun.objective.weightings.base import GramianWeighting
from jlrun.objective.weightings.gramian import RANK_TOLERANCE, on_nonzero, unit_rows

Scale = Literal["min", "median", "rmse"]


class AlignedMTL(GramianWeighting):
    """Replace the task gradients by the nearest orthogonal ones of one length, and sum.

    Senushkin et al., "Independent Component Alignment for Multi-Task Learning", CVPR 2023,
    algorithm 1: with G = V diag(λ) Vᵀ, w = B 1, B = √s V diag(λ^(−½)) Vᵀ over the eigenvalues that
    are not zero, and s the least of them. Differs from it in: rank is judged on gradients of unit
    length, so that a small gradient is not taken for a dependent one. Task weights are 1, as in the
    authors' code.

    Args:
        tasks: names of the tasks.
        scale: s is the least eigenvalue, their median (the lower one of two), or their mean.
    """

    def __init__(self, tasks: tuple[str, ...], scale: Scale = "min") -> None:
        super().__init__(tasks)
        self.scale: Scale = scale

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        return on_nonzero(gramian, lambda array: aligned_weights(array, self.scale))


def aligned_weights(gramian: np.ndarray, scale: Scale) -> np.ndarray:
    """Return w ``(A,)`` of a Gramian of gradients that are not zero."""
    norms, cosines = unit_rows(gramian)
    eigenvalues, vectors = np.linalg.eigh(cosines)
    rank = int((eigenvalues > RANK_TOLERANCE * eigenvalues[-1]).sum())
    # √λ are singular values of A, A Aᵀ = G: twice the digits that the eigenvalues of G would have.
    a = norms[:, None] * vectors * np.sqrt(eigenvalues.clip(min=0))
    v, sigma, _ = np.linalg.svd(a)
    v, sigma = v[:, :rank], sigma[:rank]  # largest first
    if scale == "min":
        root = sigma[-1]
    elif scale == "median":
        root = sigma[rank // 2]
    else:
        root = np.sqrt((sigma**2).mean())
    return root * (v @ (v.sum(axis=0) / sigma))
