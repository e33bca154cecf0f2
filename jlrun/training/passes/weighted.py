"""Gradients of losses whose weights are known before the step: each goes back by itself."""

from __future__ import annotations

from torch import Tensor

from jlrun.objective.weightings.base import LossWeighting
from jlrun.training.forward import StepForward
from jlrun.training.micro_batch_losses import MicroBatchLosses
from jlrun.training.passes.base import Passes, backward_from_all


class WeightedPasses(Passes):
    """One forward and one backward pass for each micro-batch, of Σ w_i L_i with known weights.

    The sums of the losses of rows go back, each with the factor that it has in the step's scalar:
    the scalar itself needs no graph.

    Args:
        forward: the step's forward passes, of a learner whose balance does not act.
        weighting: of the step's objectives; an ``additive`` one.
    """

    def __init__(self, forward: StepForward, weighting: LossWeighting) -> None:
        super().__init__(forward)
        self._weights = weighting.last_weights

    @staticmethod
    def suit(forward: StepForward) -> bool:
        """Return whether the weights of a step's losses are known before it."""
        learner = forward.learner
        additive = isinstance(learner.weighting, LossWeighting) and learner.weighting.additive
        return additive and not learner.balance.acts

    def run(self) -> tuple[list[MicroBatchLosses], Tensor]:
        forward, done = self.forward, list[MicroBatchLosses]()
        for number, micro_batch in enumerate(forward.micro_batches, 1):
            losses = forward.run(micro_batch, linear=True)
            with self.following(number == len(forward.micro_batches)):
                self._go_back(losses)
            done.append(losses)
        self.average_all()
        totals = [self._total(losses) for losses in done]  # those of other ranks have arrived
        return done, sum(totals[1:], totals[0])

    def _go_back(self, losses: MicroBatchLosses) -> None:
        roots = [(losses.stacked, self._coefficients(losses))]
        if losses.penalised:
            roots.append((losses.penalties, losses.factors.new_ones(())))
        if self.scale != 1:
            roots = [(root, gradient * self.scale) for root, gradient in roots]
        backward_from_all(roots)

    def _total(self, losses: MicroBatchLosses) -> Tensor:
        total = (losses.row_sums * self._coefficients(losses)).sum()
        return total + losses.penalties.detach() if losses.penalised else total

    def _coefficients(self, losses: MicroBatchLosses) -> Tensor:
        """Return the factors ``(T,)`` of the sums of the losses of rows in the step's scalar."""
        return losses.factors * self._weights
