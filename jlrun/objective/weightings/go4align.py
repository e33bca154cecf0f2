"""Group optimization for multi-task alignment."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.objective.weightings.base import LossWeighting, TaskLosses
from jlrun.objective.weightings.masked_softmax import masked_softmax
from jlrun.objective.weightings.positive import positive
from jlrun.objective.weightings.scalar_kmeans import scalar_kmeans
from jlrun.ranges import NonNegativeFloat, PositiveInt

# q smoothed risks on the simplex, γ indicators of the tasks, K groups.


class GO4Align(LossWeighting):
    """Give tasks of similar progress one weight: the mean of their group's indicators.

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
