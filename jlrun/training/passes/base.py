"""Passes of one training step, and what the two ways over task gradients have in common."""

# T tasks, N shared coordinates

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from jlrun.errors import check_shape
from jlrun.objective.weightings.base import GradientWeighting, TaskGradients
from jlrun.ranks.shards import is_shard
from jlrun.training.forward import StepForward
from jlrun.training.micro_batch_losses import MicroBatchLosses
from jlrun.training.timed import timed


class Passes(ABC):
    """The forward and backward passes of one training step.

    Args:
        forward: the step's forward passes.
    """

    def __init__(self, forward: StepForward) -> None:
        self.forward = forward
        self.scale = forward.learner.loss_scale

    @abstractmethod
    def run(self) -> tuple[list[MicroBatchLosses], Tensor]:
        """Fill ``.grad`` of everything that trains, times the scaler's scale.

        Returns:
            The losses of the micro-batches, and the scalar that was differentiated (for gradient
            weightings Σ L_i and the penalties), detached.
        """

    def following(
        self, last: bool = True, others: Collection[nn.Parameter] = ()
    ) -> AbstractContextManager[None]:
        """Return the context of a backward pass: after the last one gradients are complete.

        Args:
            last: whether it is.
            others: parameters whose gradients it does not change.
        """
        reducer = self.forward.learner.reducer
        return reducer.following(others) if reducer is not None and last else nullcontext()

    def average_all(self) -> None:
        """Average ``.grad`` of all parameters over the ranks; those of shards are already."""
        reducer = self.forward.learner.reducer
        if reducer is not None:
            with timed("backward"):
                reducer.finish()

    def average(self, parameters: Sequence[nn.Parameter]) -> None:
        """Average ``.grad`` of some parameters over the ranks; those of shards are already."""
        world = self.forward.engine.world
        if world.several:
            with timed("backward"):
                world.average_gradients([p for p in parameters if not is_shard(p)])


class TaskGradientPasses(Passes):
    """Passes that give a `GradientWeighting` the gradient of each task.

    Parameters that belong to one task (heads) get the gradient of Σ L_i, or, with
    ``head_grad=weighted``, of Σ w_i L_i.

    Args:
        forward: the step's forward passes.
        weighting: of the step's objectives.
        number: of the step in its phase, from 0.
    """

    def __init__(self, forward: StepForward, weighting: GradientWeighting, number: int) -> None:
        super().__init__(forward)
        options = forward.phase.recipe.gradient_options
        self.weighting = weighting
        self.weighted_heads = options.head_grad == "weighted"
        self.reuses_weights = number % options.update_every != 0 and self._knows_all_tasks()

    def _knows_all_tasks(self) -> bool:
        """Return whether the last weights were found with all of the step's tasks.

        A task without labels had the weight 0 then, and might have it forever.
        """
        unknown = self.forward.active & ~self.weighting.last_active
        return not bool(unknown.any())

    def update(
        self,
        micro_batches: Sequence[MicroBatchLosses],
        samples: tuple[Tensor, ...],
        gramian: Tensor | None = None,
    ) -> Tensor:
        """Return the update ``(N,)`` of Jacobians ``(T, N)``.

        Args:
            micro_batches: of the step.
            samples: as of `TaskGradients`.
            gramian: of all coordinates, where ``samples`` have those of this rank's rows.
        """
        if self.reuses_weights:
            return self.weighting.last_weights.to(samples[0]) @ samples[0]
        wanted = self.weighting.num_samples
        gradients = TaskGradients(
            names=self.forward.phase.labels,
            losses=torch.stack([losses.values.detach() for losses in micro_batches]).sum(dim=0),
            active=self.forward.active,
            # A batch of fewer rows than samples is its own sample, several times over.
            samples=samples
            if len(samples) == wanted
            else (torch.stack(samples).mean(dim=0),) * wanted,
            gramian_of_all=gramian,
        )
        if not bool(torch.isfinite(gradients.gramian).all()):
            # A loss scale that was too large (the scaler skips the step), or a run that diverges
            # (the step is refused): nothing to solve, and nothing that state should remember.
            return gradients.combined(torch.ones(len(gradients.names)))
        self.weighting.last_active = gradients.active
        self.weighting.last_gramian = gradients.gramian.to(self.weighting.last_gramian)
        with timed("weighting"), torch.no_grad():
            update = self.weighting(gradients)
        check_shape("weighting", self.weighting, update, samples[0].shape[1:])
        return update

    def weighted_sum(self, losses: MicroBatchLosses) -> Tensor:
        """Return Σ w_i L_i of a micro-batch, by the last weights."""
        return (self.weighting.last_weights.to(losses.values) * losses.values).sum()


def plain_total(micro_batches: Sequence[MicroBatchLosses]) -> Tensor:
    """Return Σ L_i and the penalties of all micro-batches, detached."""
    return torch.stack(
        [m.values.detach().sum() + m.penalties.detach() for m in micro_batches]
    ).sum()


def backward_from(
    loss: Tensor,
    inputs: Sequence[Tensor] | None = None,
    keep: bool = False,
    gradient: Tensor | None = None,
) -> None:
    """Go back from ``loss`` where there is a way, to all leaves or to ``inputs`` alone."""
    backward_from_all([(loss, gradient)], inputs, keep)


def backward_from_all(
    roots: Sequence[tuple[Tensor, Tensor | None]],
    inputs: Sequence[Tensor] | None = None,
    keep: bool = False,
) -> None:
    """Go back from several tensors at once, those from which there is a way.

    Args:
        roots: each with its gradient, of its shape; None: 1, of a scalar.
        inputs: the leaves whose gradients are wanted; None: all.
        keep: keep the graph.
    """
    pairs = [
        (root, torch.ones_like(root) if gradient is None else gradient)
        for root, gradient in roots
        if root.requires_grad
    ]
    if not pairs or (inputs is not None and not inputs):
        return
    leaves = () if inputs is None else tuple(inputs)
    with timed("backward"):
        _run_backward(tuple(r for r, _ in pairs), tuple(g for _, g in pairs), keep, leaves)


def _run_backward(
    roots: Sequence[Tensor], gradients: Sequence[Tensor], keep: bool, leaves: Sequence[Tensor]
) -> None:
    """Do what `torch.autograd.backward` does, without its import of SymPy.

    Given gradients it imports that, in a third of a second, to compare shapes, which PyTorch's
    engine does by itself. Where PyTorch does not work as today, it is called as it is.
    """
    run = getattr(torch.autograd.graph, "_engine_run_backward", None)
    if run is None:
        torch.autograd.backward(roots, gradients, retain_graph=keep, inputs=leaves or None)
    else:
        options = {"allow_unreachable": True, "accumulate_grad": True}
        run(roots, gradients, keep, False, leaves, **options)
