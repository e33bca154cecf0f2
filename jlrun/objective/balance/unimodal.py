"""Predictions of a modality alone: linear heads, their losses, the probability they give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.errors import UserError
from jlrun.models.joint_model import Outputs
from jlrun.objective.balance.base import TAG, BalanceStart, MicroBatchView
from jlrun.objective.labelled_rows import narrowed, objective_loss
from jlrun.tasks import Binary, Multiclass, Multilabel, Task

if TYPE_CHECKING:
    from jlrun.tasks.objective import Objective


class UnimodalHeads(nn.Module):
    """Logits ``(B, outputs)`` of features ``(B, D_m)``, for M modalities and K objectives.

    Objectives that share a head of the model share one here.

    Raises:
        UserError: if a task has a value for each pixel.
    """

    def __init__(self, start: BalanceStart) -> None:
        super().__init__()
        check_no_dense_tasks(start.objectives)
        self.objectives = start.objectives
        self.modalities = tuple(start.widths)
        self.heads = nn.ModuleDict(
            {
                modality: nn.ModuleDict(
                    {o.head: nn.Linear(width, o.spec.num_outputs) for o in start.objectives}
                )
                for modality, width in start.widths.items()
            }
        )

    def forward(self, modality: str, objective: Objective, features: Tensor) -> Tensor:
        """Return the logits of an objective by a modality alone."""
        heads = self.heads[modality]
        assert isinstance(heads, nn.ModuleDict)
        return heads[objective.head](features)

    def sums(
        self, batches: Mapping[str, Batch], outputs: Mapping[str, Outputs], detach: bool = False
    ) -> Tensor:
        """Return the losses ``(M, K)``, summed over the rows with the modality and a label.

        Args:
            batches: stream -> batch.
            outputs: stream -> the model's outputs on it.
            detach: let no gradient through to the encoders.
        """
        zero = next(self.parameters()).new_zeros(())
        rows = []
        for modality in self.modalities:
            row = []
            for o in self.objectives:
                loss = zero
                if o.stream in batches:
                    features = outputs[o.stream].features[modality]
                    logits = self(modality, o, features.detach() if detach else features)
                    loss, _ = objective_loss(o, logits, narrowed(o, batches[o.stream], modality))
                row.append(loss)
            rows.append(torch.stack(row))
        return torch.stack(rows)

    def losses(self, view: MicroBatchView, detach: bool = False) -> Tensor:
        """Return a micro-batch's share ``(M, K)`` of the step's mean losses."""
        sums = self.sums(view.batches, view.outputs, detach)
        return sums / view.counts.clamp(min=1)


def check_no_dense_tasks(objectives: Sequence[Objective]) -> None:
    """Check that every task has one target for each row.

    Raises:
        UserError: if a task has maps.
    """
    for objective in objectives:
        if objective.spec.task.dense:
            raise UserError.of(
                "balance",
                f"task '{objective.spec.name}' has a target for each pixel, which no modality "
                "decides alone; use balance=none",
            )


def loss_readings(
    losses: Tensor, counts: Tensor, modalities: Sequence[str], objectives: Sequence[Objective]
) -> dict[str, Tensor]:
    """Return tag -> mean loss of a modality on an objective, NaN without rows.

    Args:
        losses: ``(M, K)``.
        counts: rows they are means over, ``(M, K)``.
        modalities: M names.
        objectives: K objectives.
    """
    known = losses.masked_fill(counts == 0, torch.nan)
    return {
        f"{TAG}{modality}/{objective.label}/loss": known[i, k]
        for i, modality in enumerate(modalities)
        for k, objective in enumerate(objectives)
    }


def coefficient_readings(coefficients: Tensor, modalities: Sequence[str]) -> dict[str, Tensor]:
    """Return tag -> coefficient of each modality, of ``(M,)``."""
    return {f"{TAG}{m}": coefficients[i] for i, m in enumerate(modalities)}


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
