"""What a weighting is: how task losses become the one scalar that is minimised."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

GradientSource = Literal["features", "parameters"]


@dataclass(frozen=True)
class TaskLosses:
    """The losses of one training step.  (T tasks)

    Attributes:
        names: task names, in the order of ``values``.
        values: ``(T,)``, on the graph of the model.
        active: Bool ``(T,)``: tasks with at least one labelled row in this step; the value of
            another task is 0.
        taps: tensors on the graph that all task losses flow through: the fused features.
        shared: parameters that all tasks share.
        loss_scale: what gradients are multiplied with before `backward` (fp16); 1 otherwise.
    """

    names: tuple[str, ...]
    values: Tensor
    active: Tensor
    taps: tuple[Tensor, ...]
    shared: tuple[Tensor, ...]
    loss_scale: float = 1.0

    def gradients(self, source: GradientSource) -> Tensor:
        """Return task gradients ``(T, N)`` with respect to the taps or the shared parameters.

        Features of several streams are of different rows: tasks of different streams would always
        be orthogonal there. Then the gradients are those of the parameters, whatever ``source``.
        Where nothing shared trains they are 0, with N = 1. The graph is kept, so that the weighted
        sum can still be differentiated.
        """
        wrt = self.taps if source == "features" and len(self.taps) == 1 else self.shared
        wrt = tuple(tensor for tensor in wrt if tensor.requires_grad)
        if not wrt:
            return self.values.new_zeros(len(self.values), 1)
        rows = []
        for value in self.values:
            grads = torch.autograd.grad(
                value * self.loss_scale,
                wrt,
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            rows.append(torch.cat([grad.flatten().float() for grad in grads]) / self.loss_scale)
        return torch.stack(rows)


class Weighting(nn.Module, ABC):
    """Turns task losses into one scalar whose gradient is the update.

    Constructors take ``tasks``, the names of the T tasks, first, then what the config may set.
    State and learned weights are buffers and parameters: checkpoints hold them, and parameters are
    trained by the run's optimizer without weight decay.

    Attributes:
        last_weights: buffer ``(T,)``, the weights of the last step, for the records.
        last_gramian: ``(T, T)`` inner products of the last step's task gradients, or None for
            weightings that do not look at gradients.
    """

    last_weights: Tensor
    last_gramian: Tensor | None = None

    def __init__(self, tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.tasks = tasks
        self.register_buffer("last_weights", torch.ones(len(tasks)))

    @abstractmethod
    def forward(self, losses: TaskLosses) -> Tensor:
        """Return a scalar to call ``backward`` on."""

    def check(self, known: Collection[str]) -> None:
        """Check that the weighting suits the run; called once, for each phase of the main fit.

        Args:
            known: names of the tasks of all phases. A phase, or a baseline, may have fewer.

        Raises:
            UserError: if the weighting is about a task that no phase has.
        """

    def end_epoch(self) -> None:
        """Called after every epoch of the phase."""

    def after_step(self, recompute: Callable[[], Tensor]) -> None:
        """Called after every optimizer step.

        ``recompute`` returns the task losses ``(T,)`` of the step's batch under the new parameters,
        without gradients; it costs a forward pass.
        """
