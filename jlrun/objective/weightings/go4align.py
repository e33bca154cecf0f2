"""Group optimization for multi-task alignment."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jlrun.objective.weightings.base import LossWeighting, TaskLosses, positive
from jlrun.objective.weightings.simplex import masked_softmax
from jlrun.ranges import NonNegativeFloat, PositiveInt

# q smoothed risks on the simplex, γ indicators of the tasks, K groups.


class GO4Align(LossWeighting):
    """One weight for tasks of similar progress: the mean of their group's indicators.

    γ_i = q_i (Σ_j L_j) / L_i with q_i ∝ exp(−β Σ_steps L_i); K-means puts the γ_i in K groups, and
    a task's weight is its group's mean. The first factor carries the history of the risks, the
    second makes their scales equal. Weights are as published: their sum is not fixed.

    Shen et al., "GO4Align: Group Optimization for Multi-Task Alignment", NeurIPS 2024, dynamical
    group assignment by risk-guided group indicators, as in the authors' code. Differs from it in:
    K-means is solved exactly instead of by iterations from random centres, so that the groups
    depend on nothing but γ; L + 1e-8 stands for L; tasks without labels in the step take no part
    and keep their history, in which a task with fewer labelled steps has run up less risk. Losses
    must not be negative. Grouping happens on the CPU, so a step waits for the losses.

    Args:
        tasks: names of the tasks.
        num_groups: K; with 1 all weights are the mean of γ, with T they are γ itself.
        step_size: β; 0 forgets the past.
    """

    def __init__(
        self,
        tasks: tuple[str, ...],
        num_groups: PositiveInt = 2,
        step_size: NonNegativeFloat = 1e-4,
    ) -> None:
        super().__init__(tasks)
        self.num_groups, self.step_size = num_groups, step_size
        self.risk: Tensor
        self.register_buffer("risk", torch.zeros(len(tasks)))

    def forward(self, losses: TaskLosses) -> Tensor:
        active = losses.active
        values = torch.where(active, positive(losses.values.detach()), 0.0)
        self.risk += values
        q = masked_softmax(-self.step_size * self.risk, active)
        indicators = (q * values.sum() / values)[active]
        weights = torch.zeros_like(values)
        if len(indicators):
            means = scalar_kmeans(indicators.double().cpu().numpy(), self.num_groups)
            weights[active] = torch.from_numpy(means).to(weights)
        self.last_weights = weights
        return (weights * losses.values).sum()


Array = NDArray[np.float64]


def scalar_kmeans(values: Array, num_groups: int) -> Array:
    """Return each value's group mean ``(A,)`` under the grouping with the least squared error.

    The groups of an optimum are contiguous in the order of the values, which dynamic programming
    over the ends of groups makes use of: Wang & Song, "Ckmeans.1d.dp: Optimal k-means Clustering in
    One Dimension by Dynamic Programming", The R Journal 2011. O(k A²). Differs from it in: nothing.

    Args:
        values: ``(A,)``, at least one.
        num_groups: k; with at least A groups each value is its own.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    errors = _squared_errors(ordered)
    # best[j] is the least error of the first j values, starts[-1][j] where their last group begins.
    best, starts = errors[0], []
    for _ in range(min(num_groups, len(values)) - 1):
        candidates = best[:, None] + errors
        starts.append(candidates.argmin(axis=0))
        best = candidates.min(axis=0)
    means = np.empty_like(ordered)
    end = len(values)
    for start in reversed(starts):
        begin = int(start[end])
        means[begin:end] = ordered[begin:end].sum() / max(1, end - begin)
        end = begin
    means[:end] = ordered[:end].sum() / max(1, end)
    result = np.empty_like(means)
    result[order] = means
    return result


def _squared_errors(ordered: Array) -> Array:
    """Return the squared error of each run ``ordered[i:j]`` about its mean, ``(A + 1, A + 1)``.

    Infinite for empty runs. Updated value by value (Welford, 1962): differences of sums of squares
    would lose the small values next to the large ones.
    """
    count = len(ordered)
    errors = np.full((count + 1, count + 1), np.inf)
    mean, error = np.zeros(count), np.zeros(count)
    for j, value in enumerate(ordered):
        size = np.arange(j, -1, -1)  # values already in the runs that begin at 0 … j
        off = value - mean[: j + 1]
        mean[: j + 1] += off / (size + 1)
        error[: j + 1] += off * off * size / (size + 1)
        errors[: j + 1, j + 1] = error[: j + 1]
    return errors
