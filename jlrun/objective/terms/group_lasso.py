"""Group lasso: each feature is used by all tasks or by none."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from jlrun.objective.terms.base import StepView, Term
from jlrun.objective.terms.head_weights import check_heads, stacked_head_weights
from jlrun.objective.terms.totals import total
from jlrun.ranges import NonNegativeFloat


class GroupLasso(Term):
    """R = Σ_d √(Σ_k w_kd²): the norms of the features' weights, over the outputs of all tasks.

    The ℓ2,1 norm of Obozinski et al., "Joint covariate selection and joint subspace selection for
    multiple classification problems", Statistics and Computing 2010: a shared feature d is
    kept or dropped for all tasks together. Differs from it in: the features are learned, and of a
    head with hidden units only the layer that reads the features counts.

    Args:
        weight: strength α of the term.
        tasks: whose heads form the groups; null means all. The name of a source task with a head
            of its own is ``source_<task>``.
    """

    def __init__(self, weight: NonNegativeFloat = 1e-3, tasks: Sequence[str] | None = None) -> None:
        super().__init__()
        self.weight = weight
        self.tasks = tasks

    def check(self, model: nn.Module) -> None:
        check_heads(model, self.tasks)

    def forward(self, view: StepView) -> Tensor:
        weights = stacked_head_weights(view.model, self.tasks)
        return total((torch.linalg.vector_norm(w, dim=0).sum() for w in weights), view)
