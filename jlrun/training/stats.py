"""Measurements of one optimizer step, on the device."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class StepStats:
    """Measurements of a step, detached and still on the device.  (T tasks, J terms, R readings)

    Attributes:
        loss_sums: ``(T,)``, sums of the losses of the step's labelled rows.
        labelled: T numbers, the step's labelled rows of each task.
        term_losses: ``(J,)``, R_j before λ and α_j.
        total_loss: scalar, what was differentiated; for weightings of task gradients the plain sum.
        grad_norm: scalar, of all gradients together, before clipping.
        num_rows: of the step, all streams.
        readings: tag -> scalar, measured by the balance of modalities; not a number where it
            measured nothing.
    """

    loss_sums: Tensor
    labelled: tuple[int, ...]
    term_losses: Tensor
    total_loss: Tensor
    grad_norm: Tensor
    num_rows: int
    readings: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def task_losses(self) -> Tensor:
        """Means over the labelled rows, ``(T,)``; 0 for a task without any."""
        counts = [max(1, count) for count in self.labelled]
        return self.loss_sums / self.loss_sums.new_tensor(counts)

    @cached_property
    def packed(self) -> Tensor:
        """All of it as one tensor ``(2 + T + J + R,)``, to be read at once.

        In this order: total loss, norm of the gradient, sums of the losses of tasks, losses of
        terms, readings.
        """
        scalars = [self.total_loss.reshape(1), self.grad_norm.reshape(1)]
        readings = [reading.detach().reshape(1) for reading in self.readings.values()]
        return torch.cat([*scalars, self.loss_sums, self.term_losses, *readings])

    @cached_property
    def numbers(self) -> Sequence[float]:
        """Numbers of `packed`; reading them waits for the device."""
        if self.total_loss.device.type != "cpu":
            return self.packed.tolist()
        readings = [float(reading) for reading in self.readings.values()]
        losses = self.loss_sums.tolist() + self.term_losses.tolist()
        return [self.total_loss.item(), self.grad_norm.item(), *losses, *readings]

    def first_not_finite(
        self, tasks: Sequence[str], terms: Sequence[str], *, gradients: bool
    ) -> str | None:
        """Return in words the first loss that is not a finite number, or the gradient.

        Args:
            tasks, terms: names of the T tasks and the J terms.
            gradients: whether the gradient counts.

        Returns:
            None if all is finite.
        """
        total, norm, *losses = self.numbers
        names = [*tasks, *terms]
        if all(map(math.isfinite, losses[: len(names)])) and math.isfinite(total):
            return "the gradient" if gradients and not math.isfinite(norm) else None
        bad = (name for name, x in zip(names, losses, strict=False) if not math.isfinite(x))
        return f"the loss of '{next(bad, 'total')}'"
