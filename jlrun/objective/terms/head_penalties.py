"""Penalties on the weights of all tasks' heads together: group lasso, trace norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from jlrun.models.fusions.late import LateHead
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import StepView, Term, check_heads, total
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


def stacked_head_weights(model: nn.Module, heads: Sequence[str] | None) -> list[Tensor]:
    """Return the first layers of heads, those that read the same features stacked.

    One matrix ``(K, D)``: a row for each output (or hidden unit) of each head, a column for each
    shared feature. Under late fusion, one such matrix per modality. Frozen weights are left out.

    Args:
        model: a `JointModel`.
        heads: their names; None means all.
    """
    chosen = {
        name: head
        for name, head in cast(JointModel, model).heads.items()
        if heads is None or name in heads
    }
    by_input: dict[str, list[Tensor]] = {}
    for head in chosen.values():
        parts = head.parts.items() if isinstance(head, LateHead) else [("", head)]
        for part, module in parts:
            first = next((p for p in module.parameters() if p.dim() == 2), None)
            if first is not None and first.requires_grad:
                by_input.setdefault(part, []).append(first)
    return [torch.cat(weights) for weights in by_input.values()]
