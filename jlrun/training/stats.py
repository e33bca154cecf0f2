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
        task_losses: ``(T,)``, means over the step's labelled rows; 0 for a task without any.
        labelled: T numbers, the step's labelled rows of each task.
        term_losses: ``(J,)``, R_j before λ and α_j.
        total_loss: scalar, what was differentiated; for weightings of task gradients the plain sum.
        grad_norm: scalar, of all gradients together, before clipping.
        num_rows: of the step, all streams.
        readings: tag -> scalar, measured by the balance of modalities; not a number where it
            measured nothing.
    """

    task_losses: Tensor
    labelled: tuple[int, ...]
    term_losses: Tensor
    total_loss: Tensor
    grad_norm: Tensor
    num_rows: int
    readings: Mapping[str, Tensor] = field(default_factory=dict)

    @cached_property
    def packed(self) -> Tensor:
        """All of it as one tensor ``(2 + T + J + R,)``, to be read at once.

        In this order: total loss, norm of the gradient, losses of tasks and of terms, readings.
        """
        scalars = [self.total_loss.reshape(1), self.grad_norm.reshape(1)]
        readings = [reading.detach().reshape(1) for reading in self.readings.values()]
        return torch.cat([*scalars, self.task_losses, self.term_losses, *readings])

    @cached_property
    def numbers(self) -> Sequence[float]:
        """Numbers of `packed`; reading them waits for the device."""
        return self.packed.tolist()

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
