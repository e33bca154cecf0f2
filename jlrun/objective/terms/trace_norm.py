"""Trace norm: task heads in a common low-dimensional subspace."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from jlrun.objective.terms.base import StepView, Term
from jlrun.objective.terms.head_weights import check_heads, stacked_head_weights
from jlrun.objective.terms.totals import total
from jlrun.ranges import NonNegativeFloat


class TraceNorm(Term):
    """R = Σ σ_i(W), the singular values of the weights W of all tasks' heads on the features.

    The trace norm of Argyriou et al., "Multi-Task Feature Learning", NeurIPS 2006, and Pong et al.,
    "Trace Norm Regularization", SIAM Journal on Optimization 2010: it pulls W towards a low rank,
    so that tasks share few directions. Differs from it in: the features are learned, and of a head
    with hidden units only the layer that reads the features counts.

    Args:
        weight: strength α of the term.
        tasks: whose heads are stacked; null means all. The name of a source task with a head of
            its own is ``source_<task>``.
    """

    def __init__(self, weight: NonNegativeFloat = 1e-3, tasks: Sequence[str] | None = None) -> None:
        super().__init__()
        self.weight = weight
        self.tasks = tasks

    def check(self, model: nn.Module) -> None:
        check_heads(model, self.tasks)

    def forward(self, view: StepView) -> Tensor:
        weights = stacked_head_weights(view.model, self.tasks)
        return total((torch.linalg.svdvals(w).sum() for w in weights), view)
