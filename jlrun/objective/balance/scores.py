"""Probability of the right answer by a modality alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from jlrun.errors import UserError
from jlrun.tasks import Binary, Multiclass, Multilabel, Task

if TYPE_CHECKING:
    from jlrun.tasks.objective import Objective


def has_classes(task: Task) -> bool:
    """Whether a task predicts class probabilities; regression does not."""
    return isinstance(task, Multiclass | Binary | Multilabel)


def require_classes(objectives: Sequence[Objective], method: str) -> None:
    """Check that some task has classes.

    Raises:
        UserError: if none has.
    """
    if not any(has_classes(objective.spec.task) for objective in objectives):
        names = ", ".join(objective.spec.name for objective in objectives)
        raise UserError.of(
            "balance",
            f"{method} compares modalities by the probability of the right class, and {names} "
            "has no classes; use balance=uniform, mmpareto or gradient_blend",
        )


def right_probability(task: Task, logits: Tensor, target: Tensor) -> Tensor:
    """Return the probability of the right answer, ``(B,)``; the mean over the labels of several.

    Args:
        task: one that `has_classes`.
        logits: ``(B, outputs)``.
        target: in the task's format.
    """
    probabilities = task.probabilities(logits)
    if isinstance(task, Multilabel):
        return torch.where(target > 0.5, probabilities, 1 - probabilities).mean(dim=1)
    return probabilities.gather(1, target.long()[:, None])[:, 0]
