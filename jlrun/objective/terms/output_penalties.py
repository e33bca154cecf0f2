"""Penalties on outputs: confident predictions, the norm of features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.objective.terms.base import StepView, Term, check_heads, no_loss, precise, total
from jlrun.ranges import NonNegativeFloat
from jlrun.tasks import Binary, Multiclass, Multilabel, Task


class Confidence(Term):
    """R = −Σ_k mean_rows H(p_k): the negative entropy of each task's predictions.

    The confidence penalty of Pereyra et al., "Regularizing Neural Networks by Penalizing Confident
    Output Distributions", ICLR workshop 2017. Differs from it in: binary outputs have the entropy
    of a Bernoulli distribution, averaged over the labels of a multilabel task. Regression has none.
    It reads no labels: all rows count. R is at least −Σ_k log C_k.

    Args:
        weight: strength α of the term (the paper's β).
        tasks: tasks whose predictions count; null means all. The name of a source task with a head
            of its own is ``source_<task>``.
    """

    def __init__(self, weight: NonNegativeFloat = 0.1, tasks: Sequence[str] | None = None) -> None:
        super().__init__()
        self.weight = weight
        self.tasks = tasks

    def check(self, model: nn.Module) -> None:
        check_heads(model, self.tasks)

    def forward(self, view: StepView) -> Tensor:
        entropies = (
            _entropy(view.tasks[head], precise(logits)).mean()
            for output in view.outputs.values()
            for head, logits in output.logits.items()
            if (self.tasks is None or head in self.tasks) and _has_entropy(view.tasks[head])
        )
        return -total(entropies, view)


def _has_entropy(task: Task) -> bool:
    return isinstance(task, Multiclass | Binary | Multilabel)


def _entropy(task: Task, logits: Tensor) -> Tensor:
    """Return the entropy of each row's prediction in nats, ``(B,)`` or ``(B, labels)``."""
    if isinstance(task, Multiclass):
        log_p = logits.log_softmax(dim=1)
        return -(log_p.exp() * log_p).sum(dim=1)
    p = logits.sigmoid()
    return -(p * F.logsigmoid(logits) + (1 - p) * F.logsigmoid(-logits))


class FeatureL2(Term):
    """R = mean over all rows of ‖z‖², the squared norm of the fused features z.

    Under late fusion z holds the features of all modalities side by side, and their presence.

    Args:
        weight: strength α of the term.
    """

    def __init__(self, weight: NonNegativeFloat = 1e-4) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, view: StepView) -> Tensor:
        if not view.outputs:
            return no_loss(view)
        rows = torch.cat([output.fused for output in view.outputs.values()])
        return precise(rows).square().sum(dim=1).mean()
