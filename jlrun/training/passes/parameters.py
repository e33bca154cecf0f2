"""Task gradients with respect to the shared parameters: each loss goes back all the way."""

# S samples, T tasks, N shared parameters

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from jlrun.objective.weightings.base import GradientWeighting
from jlrun.training.forward import StepForward
from jlrun.training.micro_batch_losses import MicroBatchLosses
from jlrun.training.passes.base import TaskGradientPasses, backward_from, plain_total
from jlrun.training.timed import timed


class ParameterPasses(TaskGradientPasses):
    """T backward passes for each micro-batch; one where known weights serve again.

    Attributes:
        shared: the parameters that train and that tasks share.
        private: those that one task has.
    """

    def __init__(self, forward: StepForward, weighting: GradientWeighting, number: int) -> None:
        super().__init__(forward, weighting, number)
        model = forward.learner.model
        self.shared = tuple(p for p in model.body.shared_parameters() if p.requires_grad)
        known = {id(parameter) for parameter in self.shared}
        own = (p for p in model.parameters() if p.requires_grad and id(p) not in known)
        self.private = tuple(own)

    def run(self) -> tuple[list[MicroBatchLosses], Tensor]:
        if self.reuses_weights:
            done = self._run_with_last_weights()
            self.average_all()
            return done, plain_total(done)
        done = self._run_each_task()
        # The update is that of all ranks; what penalties added to it is of each by itself.
        known = set() if any(m.penalised for m in done) else set(map(id, self.shared))
        self.average([p for p in self.forward.learner.parameters if id(p) not in known])
        return done, plain_total(done)

    def _run_each_task(self) -> list[MicroBatchLosses]:
        forward, done = self.forward, []
        samples = self._empty_samples()
        for micro_batch, index in zip(forward.micro_batches, forward.samples, strict=True):
            losses = forward.run(micro_batch)
            done.append(losses)
            backward_from(losses.penalties * self.scale, keep=True)
            self._add_task_gradients(samples[index], losses)
        # Each sample's losses are means over its own rows, not over those of the whole step.
        samples = self.forward.engine.world.average(samples.mul_(len(samples) / self.scale))
        update = self.update(done, samples.unbind())
        _add_to_gradients(self.shared, update * self.scale)
        if self.weighted_heads:
            for losses in done:
                backward_from(self.weighted_sum(losses) * self.scale, self.private)
        return done

    def _run_with_last_weights(self) -> list[MicroBatchLosses]:
        """Go back from Σ w_i L_i once."""
        done = []
        for micro_batch in self.forward.micro_batches:
            losses = self.forward.run(micro_batch)
            done.append(losses)
            loss = self.weighted_sum(losses) * self.scale
            backward_from(losses.penalties * self.scale, keep=True)
            if self.weighted_heads:
                backward_from(loss)
                continue
            backward_from(loss, self.shared, keep=True)
            backward_from(losses.values.sum() * self.scale, self.private)
        return done

    def _empty_samples(self) -> Tensor:
        """Return zeros ``(S, T, N)``."""
        count = max(self.forward.samples) + 1
        size = sum(parameter.numel() for parameter in self.shared)
        dtype = self.shared[0].dtype if self.shared else torch.float32
        shape = (count, len(self.forward.phase.objectives), max(1, size))
        return torch.zeros(shape, dtype=dtype, device=self.forward.num_labelled.device)

    def _add_task_gradients(self, sample: Tensor, losses: MicroBatchLosses) -> None:
        """Add each task's gradient to its row of ``sample (T, N)``."""
        private = () if self.weighted_heads else self.private
        last = len(losses.singles) - 1
        for i, (loss, row) in enumerate(zip(losses.singles, sample, strict=True)):
            keep = self.weighted_heads or i < last
            _add_gradients(row, loss * self.scale, self.shared, private, keep)


def _add_gradients(
    row: Tensor,
    loss: Tensor,
    shared: Sequence[nn.Parameter],
    private: Sequence[nn.Parameter],
    keep: bool,
) -> None:
    """Add the gradient of ``loss`` to ``row (N,)`` and to ``.grad`` of the private parameters."""
    if not loss.requires_grad or not (shared or private):
        return
    inputs = (*shared, *private)
    with timed("backward"):
        grads = torch.autograd.grad(loss, inputs, retain_graph=keep, allow_unused=True)
    start = 0
    for parameter, grad in zip(shared, grads[: len(shared)], strict=True):
        stop = start + parameter.numel()
        if grad is not None:
            row[start:stop] += grad.flatten()
        start = stop
    for parameter, grad in zip(private, grads[len(shared) :], strict=True):
        if grad is not None:
            parameter.grad = grad if parameter.grad is None else parameter.grad + grad


def _add_to_gradients(parameters: Sequence[nn.Parameter], update: Tensor) -> None:
    """Add ``update (N,)`` to ``.grad`` of the parameters."""
    start = 0
    for parameter in parameters:
        stop = start + parameter.numel()
        grad = update[start:stop].view(parameter.shape)
        parameter.grad = grad.clone() if parameter.grad is None else parameter.grad + grad
        start = stop
