"""Base classes of weightings: from task losses or task gradients to one update."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from jlrun.errors import UserError, check_shape
from jlrun.ranges import PositiveInt

GradientSource = Literal["features", "parameters"]


@dataclass(frozen=True)
class TaskLosses:
    """Losses of one training step.  (T tasks)

    Attributes:
        names: task names, in the order of ``values``.
        values: ``(T,)``, on the graph of the model.
        active: Bool ``(T,)``: tasks with at least one labelled row in this step; the value of
            another task is 0.
    """

    names: tuple[str, ...]
    values: Tensor
    active: Tensor


@dataclass(frozen=True)
class TaskGradients:
    """Task gradients of one training step.  (T tasks, N shared coordinates)

    Attributes:
        names: task names, in the order of the rows.
        losses: ``(T,)``, detached, on the device.
        active: Bool ``(T,)``: tasks with at least one labelled row in this step; the row of another
            task is 0.
        samples: Jacobians ``(T, N)`` float32 (or float64) on the device: one of the whole batch,
            or one for each of the weighting's ``num_samples`` equal parts of it.
        gramian_of_all: G ``(T, T)`` float64 on the CPU of all N coordinates, where ``samples`` have
            only those of the rows of this process (`GramianWeighting.knows_gramian_alone`).
    """

    names: tuple[str, ...]
    losses: Tensor
    active: Tensor
    samples: tuple[Tensor, ...]
    gramian_of_all: Tensor | None = None

    @cached_property
    def jacobian(self) -> Tensor:
        """Gradients of the whole batch's losses, ``(T, N)``."""
        assert self.gramian_of_all is None, (
            "a GramianWeighting that reads the Jacobian says so by knows_gramian_alone = False"
        )
        return self._own

    @cached_property
    def _own(self) -> Tensor:
        first, *others = self.samples
        return sum(others, start=first) / len(self.samples) if others else first

    @cached_property
    def gramian(self) -> Tensor:
        """G = J Jᵀ, ``(T, T)`` float64 on the CPU, where small problems are solved."""
        if self.gramian_of_all is not None:
            return self.gramian_of_all
        return gramian_of(self.jacobian).cpu()

    def combined(self, weights: Tensor) -> Tensor:
        """Return Σ_i w_i g_i ``(N,)`` for weights ``(T,)``."""
        return weights.to(self._own) @ self._own


def gramian_of(jacobian: Tensor) -> Tensor:
    """Return J Jᵀ ``(T, T)`` in float64, where J is."""
    return (jacobian @ jacobian.T).double()


class Weighting(nn.Module):
    """Weighting of the losses of T tasks into the update; subclass one of the three kinds below.

    Constructors take ``tasks``, the names of the T tasks, first, then what the config may set.
    State is in buffers, learned weights may be parameters: checkpoints hold both, and parameters
    are trained by the run's optimizer without weight decay. Randomness comes from PyTorch's global
    generator on the CPU, which is seeded before each step.

    Args:
        tasks: names of the T tasks.

    Attributes:
        last_weights: buffer ``(T,)``, the weights of the last step, for the records.
    """

    last_weights: Tensor

    def __init__(self, tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.tasks = tasks
        self.register_buffer("last_weights", torch.ones(len(tasks)))

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


class LossWeighting(Weighting, ABC):
    """Weighting by loss values: one backward pass of one scalar.

    Attributes:
        additive: whether the scalar is Σ w_i L_i with ``last_weights``, the same in every step:
            each loss goes back by itself with its weight, and a step in micro-batches needs no
            forward pass for its total first. A subclass with a `forward` of its own says so again.
    """

    additive: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "forward" in vars(cls) and "additive" not in vars(cls):
            cls.additive = False

    @abstractmethod
    def forward(self, losses: TaskLosses) -> Tensor:
        """Return a scalar to call ``backward`` on."""


class GradientWeighting(Weighting, ABC):
    """Weighting by task gradients with respect to shared features or parameters.

    Args:
        tasks: names of the T tasks.

    Attributes:
        sources: where the gradients may be taken. Features are of other rows in each step, so
            comparing gradients of different steps or samples needs ``parameters``.
        num_samples: equal parts of a batch with a Jacobian each.
        reuses_weights: whether ``last_weights`` determine the update, so that later steps can reuse
            them.
        last_active: buffer, Bool ``(T,)``: tasks that ``last_weights`` were found with.
        last_gramian: buffer ``(T, T)``, inner products of the task gradients that they were found
            with, for the records.
    """

    sources: tuple[GradientSource, ...] = ("features", "parameters")
    num_samples: ClassVar[int] = 1
    reuses_weights: bool = True
    last_active: Tensor
    last_gramian: Tensor

    def __init__(self, tasks: tuple[str, ...]) -> None:
        super().__init__(tasks)
        self.register_buffer("last_gramian", torch.zeros(len(tasks), len(tasks)))
        self.register_buffer("last_active", torch.zeros(len(tasks), dtype=torch.bool))

    @abstractmethod
    def forward(self, gradients: TaskGradients) -> Tensor:
        """Return the update ``(N,)``, which replaces the gradient of the summed losses.

        Sets ``last_weights``, which also weigh the losses of the heads with ``head_grad=weighted``.
        """


class GramianWeighting(GradientWeighting, ABC):
    """Weighting by the Gramian: the update is Σ_i w_i g_i, w a function of it and the losses.

    Attributes:
        knows_gramian_alone: whether nothing reads the Jacobian itself. Ranks then exchange T²
            numbers, and each has the columns of its own rows.
    """

    knows_gramian_alone: ClassVar[bool] = True

    def forward(self, gradients: TaskGradients) -> Tensor:
        rows = gradients.active.cpu().nonzero().flatten()
        weights = torch.zeros(len(self.tasks), dtype=torch.float64)
        if len(rows):
            losses = gradients.losses.double().cpu()[rows]
            found = self.weigh(gradients.gramian[rows][:, rows], losses)
            check_shape("weighting", self, found, (len(rows),))
            weights[rows] = found
        self.last_weights = weights.to(self.last_weights)
        return gradients.combined(self.last_weights)

    @abstractmethod
    def weigh(self, gramian: Tensor, losses: Tensor) -> Tensor:
        """Return w ``(A,)`` float64, finite for every Gramian: badly scaled, singular, and zero.

        Args:
            gramian: of the gradients of the A active tasks, ``(A, A)`` float64 on the CPU.
            losses: of the same tasks, ``(A,)`` float64 on the CPU.
        """


EPSILON = 1e-8


def positive(losses: Tensor) -> Tensor:
    """Return L + ε, so that values and gradients are finite at L = 0; the shape is kept.

    Methods of relative losses have no meaning where L < 0. The result is then NaN, which stops the
    run: a clamped loss would silently train nothing.
    """
    return torch.where(losses < 0, torch.nan, losses + EPSILON)


@dataclass(frozen=True)
class GradientOptions:
    """Options of every weighting of task gradients, which training applies.

    Attributes:
        gradients: with respect to the shared ``features``, at the cost of one pass through each
            head, or to the shared ``parameters``, at one pass through the model for each task.
            Where tasks have no features in common (several data sets, a trunk for each task) they
            are of the parameters in any case.
        head_grad: what parameters of one task follow: the gradient of Σ L_i (``unweighted``, as in
            LibMTL and TorchJD) or of Σ w_i L_i (``weighted``, as in Nash-MTL's code).
        update_every: steps that share one solution for the weights.
    """

    gradients: GradientSource = "features"
    head_grad: Literal["unweighted", "weighted"] = "unweighted"
    update_every: PositiveInt = 1

    def check(self, weighting: Weighting) -> None:
        """Check that the weighting supports the options.

        Raises:
            UserError: if it needs gradients of the parameters, or has no weights to reuse.
        """
        if not isinstance(weighting, GradientWeighting):
            return
        name = type(weighting).__name__
        if self.gradients not in weighting.sources:
            raise UserError.of(
                "weighting.gradients",
                f"'{self.gradients}': {name} compares gradients of different rows, which features "
                "do not allow; use weighting.gradients=parameters",
            )
        if self.update_every > 1 and not weighting.reuses_weights:
            raise UserError.of(
                "weighting.update_every",
                f"{self.update_every}: {name} has no weights to use again; use 1",
            )
