"""Measurements of one optimizer step, on the device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class StepStats:
    """Measurements of a step, detached and still on the device.  (T tasks, J terms)

    Attributes:
        task_losses: ``(T,)``, means over the step's labelled rows; 0 for a task without any.
        labelled: ``(T,)``, the step's labelled rows of each task.
        term_losses: ``(J,)``, R_j before λ and α_j.
        total_loss: scalar, what was differentiated; for weightings of task gradients the plain sum.
        grad_norm: scalar, of all gradients together, before clipping.
        num_rows: of the step, all streams.
        readings: tag -> scalar, measured by the balance of modalities; not a number where it
            measured nothing.
    """

    task_losses: Tensor
    labelled: Tensor
    term_losses: Tensor
    total_loss: Tensor
    grad_norm: Tensor
    num_rows: int
    readings: Mapping[str, Tensor] = field(default_factory=dict)

    def finite(self, *, gradients: bool) -> Tensor:
        """Return a Bool scalar on the device: whether losses, and ``gradients``, are finite."""
        device = self.total_loss.device
        scalars = [self.total_loss, self.grad_norm.to(device)] if gradients else [self.total_loss]
        columns = [torch.stack(scalars), self.task_losses, self.term_losses]
        # 0 · x is not a number where x is none or infinite, and neither is a sum with it.
        return (torch.cat([column for column in columns if len(column)]) * 0).sum() == 0

    def first_not_finite(self, tasks: Sequence[str], terms: Sequence[str]) -> str:
        """Return in words the first loss that is not a finite number; the gradient if all are."""
        for names, losses in ((tasks, self.task_losses), (terms, self.term_losses)):
            for name, finite in zip(names, torch.isfinite(losses).tolist(), strict=True):
                if not finite:
                    return f"the loss of '{name}'"
        return "the gradient" if bool(torch.isfinite(self.total_loss)) else "the loss of 'total'"
