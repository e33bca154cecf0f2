"""Gradients of one scalar of the losses: one backward pass for each micro-batch."""

from __future__ import annotations

from torch import Tensor

from jlrun.errors import check_shape
from jlrun.objective.weightings.base import LossWeighting, TaskLosses
from jlrun.seeding import preserved_randomness
from jlrun.training.forward import StepForward
from jlrun.training.micro_batch_losses import MicroBatchLosses
from jlrun.training.passes.base import Passes, backward_from


class ScalarPasses(Passes):
    """One forward and one backward pass for each micro-batch.

    Args:
        forward: the step's forward passes.
        weighting: of the step's objectives.
    """

    def __init__(self, forward: StepForward, weighting: LossWeighting) -> None:
        super().__init__(forward)
        self._weighting = weighting

    def run(self) -> tuple[list[MicroBatchLosses], Tensor]:
        done, forward = [], self.forward
        totals, coefficients = list[Tensor](), None
        if len(forward.micro_batches) > 1 and not self._weighting.additive:
            coefficients, total = self._coefficients()
            totals.append(total)
        for number, micro_batch in enumerate(forward.micro_batches, 1):
            losses = forward.run(micro_batch)
            if coefficients is None:
                loss = losses.with_penalties(self.weighed(losses.values))
                totals.append(loss.detach())
            else:
                loss = losses.with_penalties((coefficients * losses.values).sum())
                totals.append(losses.penalties.detach())
            if losses.balance.encoder_losses:
                totals.append(forward.apart.add(losses.balance.encoder_losses, self.scale))
            with self.following(number == len(forward.micro_batches)):
                backward_from(loss * self.scale if self.scale != 1 else loss)
            done.append(losses)
        self.average_all()
        forward.apart.average(forward.engine.world)
        return done, sum(totals[1:], totals[0])

    def _coefficients(self) -> tuple[Tensor, Tensor]:
        """Return ∂S/∂L ``(T,)`` of the weighting's scalar S at the step's losses, and S.

        The losses of all micro-batches are computed once more for it, without gradients and under
        the same random numbers. Parameters of the weighting get their gradients here.
        """
        with preserved_randomness():
            values = self.forward.values_now()
            total = self.weighed(values.requires_grad_())
        (total * self.scale).backward()
        assert values.grad is not None
        return values.grad / self.scale, total.detach()

    def weighed(self, values: Tensor) -> Tensor:
        """Return the weighting's scalar of the losses ``(T,)``."""
        names, active = self.forward.phase.labels, self.forward.active
        scalar = self._weighting(TaskLosses(names, values, active))
        check_shape("weighting", self._weighting, scalar, ())
        return scalar
