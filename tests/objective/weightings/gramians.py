"""Jacobians on which weightings of Gramians are compared and checked."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from jlrun.objective.weightings.base import GramianWeighting

KINDS = ("well_scaled", "badly_scaled", "dependent", "rank_1", "conflicting")
NAMES = tuple("abcdefghijklmnop")


def jacobians(kind: str, counts: tuple[int, ...] = (1, 2, 3, 5, 8, 16)) -> Iterator[Tensor]:
    """Yield random Jacobians ``(T, N)`` float64, three for each count of tasks.

    Norms of ``badly_scaled`` gradients span six orders of magnitude, their Gramians twelve.
    """
    generator = torch.Generator().manual_seed(KINDS.index(kind))
    for count in counts:
        for _ in range(3):
            width = count // 2 + 1 if kind == "dependent" else count + 2
            jacobian = torch.randn(count, width, generator=generator, dtype=torch.float64)
            if kind == "badly_scaled":
                powers = torch.rand(count, 1, generator=generator, dtype=torch.float64)
                jacobian *= 10 ** (6 * powers - 3)
            if kind == "rank_1":
                jacobian = jacobian[:, :1] @ jacobian[:1]
            if kind == "conflicting":
                half = count // 2
                jacobian[:half] -= 1.5 * jacobian[count - half :]
            yield jacobian


def relative(found: Tensor, expected: Tensor) -> float:
    """Return ‖found − expected‖ / ‖expected‖."""
    return float((found - expected).norm() / expected.norm())


def weights_of(weighting: GramianWeighting, gramian: Tensor) -> Tensor:
    """Return the weights ``(A,)`` of a Gramian where all losses are 1."""
    return weighting.weigh(gramian, torch.ones(len(gramian), dtype=torch.float64))
