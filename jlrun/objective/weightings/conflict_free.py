"""ConFIG: the conflict-free direction of equal cosines."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from jlrun.objective.weightings.base import GramianWeighting
from jlrun.objective.weightings.gramian import RANK_TOLERANCE, on_nonzero, unit_rows


class ConFIG(GramianWeighting):
    """Direction of equal cosines with all task gradients, as far as they reach in it.

    Liu, Chu & Thuerey, "ConFIG: Towards Conflict-free Training of Physics Informed Neural
    Networks", ICLR 2025, eq. (2): with U the unit gradients, u = U⁺1 / ‖U⁺1‖, and the update is
    (Σ g_i·u) u. As U⁺1 = Uᵀ(UUᵀ)⁺1, only cosines and norms are needed. Differs from it in: singular
    values of U under a thousandth of the largest count as 0, for gradients in float32. Where no
    direction serves, as for opposite gradients, the update is 0.

    Args:
        tasks: names of the tasks.
    """

    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        return on_nonzero(gramian, conflict_free_weights)


def conflict_free_weights(gramian: np.ndarray) -> np.ndarray:
    """Return w ``(A,)`` of a Gramian of gradients that are not zero."""
    norms, cosines = unit_rows(gramian)
    eigenvalues, vectors = np.linalg.eigh(cosines)
    kept = eigenvalues > RANK_TOLERANCE * eigenvalues[-1]
    ones = vectors[:, kept].sum(axis=0)  # 1 in the coordinates of the eigenvectors
    y = vectors[:, kept] @ (ones / eigenvalues[kept])  # (UUᵀ)⁺ 1
    square = (ones**2 / eigenvalues[kept]).sum()  # ‖Uᵀy‖²
    if square <= RANK_TOLERANCE:
        return np.zeros(len(norms))
    reach = norms @ cosines @ y  # Σ g_i · Uᵀy
    return reach / square * y / norms
