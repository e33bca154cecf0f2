"""Small problems on a Gramian, solved in NumPy: a call costs a tenth of one of PyTorch's there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

# Jacobians are float32, so that a Gramian of unit rows is known to about 1e-7.
RANK_TOLERANCE = 1e-6


def on_nonzero(gramian: Tensor, solve: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    """Return the weights ``(A,)`` of ``solve``, a function of the Gramian of non-zero gradients.

    A task whose gradient is zero has weight 1: the update does not depend on it, and its head may
    go on training.
    """
    array = gramian.numpy()
    rows = array.diagonal() > np.finfo(np.float64).tiny
    weights = np.ones(len(array))
    if rows.all():
        weights[:] = solve(array)
    elif rows.any():
        weights[rows] = solve(array[np.ix_(rows, rows)])
    return torch.from_numpy(weights)


def unit_rows(gramian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the norms ``(A,)`` of the gradients and their cosines ``(A, A)``, 0 for zero rows."""
    norms = np.sqrt(gramian.diagonal().clip(min=0))
    safe = np.where(norms > 0, norms, 1.0)
    return norms, gramian / safe[:, None] / safe


def factor(gramian: np.ndarray) -> np.ndarray:
    """Return A ``(A, A)`` with A Aᵀ = G, each row of it accurate to its own scale.

    It may be singular: the factor is that of the eigen-decomposition of the cosines.
    """
    norms, cosines = unit_rows(gramian)
    eigenvalues, vectors = np.linalg.eigh(cosines)
    return norms[:, None] * vectors * np.sqrt(eigenvalues.clip(min=0))


def nonnegative_least_squares(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the u ≥ 0 that minimises ‖matrix u − target‖.

    Lawson & Hanson, "Solving Least Squares Problems", 1974, chapter 23, on columns of norm 1:
    without that, columns far smaller than others would never be chosen.
    """
    if (target @ matrix).max() <= 0:
        return np.zeros(matrix.shape[1])
    norms = np.sqrt(np.einsum("ij,ij->j", matrix, matrix))
    norms[norms == 0] = 1.0
    from scipy.optimize import nnls  # takes long to import, and most runs do without it

    return nnls(matrix / norms, target, maxiter=100 * len(norms))[0] / norms


def cosines_of(gramian: Tensor) -> Tensor:
    """Return the cosines ``(T, T)`` of vectors with the Gramian ``(T, T)``; 0 for zero vectors."""
    norms = gramian.diagonal().clamp(min=0).sqrt()
    units = torch.where(norms > 0, 1 / norms, 0.0)
    return gramian * units[:, None] * units[None, :]
