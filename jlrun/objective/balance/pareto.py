"""Equal weights where gradients agree, the shortest combination where they conflict."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.objective.weightings.base import GramianWeighting
from jlrun.objective.weightings.mgda import shortest_combination


class Pareto(GramianWeighting):
    """w_i = 1/A if no two of the A gradients point against each other, else that of MGDA.

    Wei & Hu, "MMPareto: Boosting Multimodal Learning with Innocent Unimodal Assistance", ICML 2024,
    section 3.3.

    Args:
        tasks: names of what has gradients.
    """

    def weigh(self, gramian: Tensor) -> Tensor:
        array = gramian.numpy()
        if (array >= 0).all():
            return torch.full((len(array),), 1 / len(array), dtype=torch.float64)
        return torch.from_numpy(shortest_combination(array))
