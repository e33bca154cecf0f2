"""Measurement of the task gradients of a training step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from jlrun.data.batch import Batch
from jlrun.engine import Engine
from jlrun.models.module_state import untouched
from jlrun.objective.balance import NoBalance
from jlrun.objective.balance.encoder_gradients import flat
from jlrun.objective.weightings.base import GradientSource
from jlrun.ranks.world import ALONE
from jlrun.seeding import preserved_randomness
from jlrun.training.diagnosis.gradients import (
    by_features,
    by_parameters,
    mean_losses,
    shared_parameters,
)
from jlrun.training.forward import StepForward
from jlrun.training.learner import Learner
from jlrun.training.passes import takes_features
from jlrun.training.plan import Phase


@dataclass(frozen=True)
class Diagnosis:
    """Settings of the diagnosis.

    Attributes:
        every: steps between two measurements; None: none.
        gradients: with respect to the shared ``parameters``, or to the ``features`` where the model
            has ones that all tasks share.
        affinity: whether to measure inter-task affinity too, at one forward pass for each task.
    """

    every: int | None = None
    gradients: GradientSource = "parameters"
    affinity: bool = False

    def due(self, number: int) -> bool:
        """Return whether step ``number``, from 0, is measured: the last of each ``every``."""
        return self.every is not None and (number + 1) % self.every == 0


NO_DIAGNOSIS = Diagnosis()


@dataclass(frozen=True)
class GradientMeasurement:
    """Measured task gradients.  (T tasks, N shared parameters)

    Attributes:
        tasks: labels of the objectives.
        active: Bool ``(T,)`` on the CPU: tasks with labelled rows in the step.
        losses: ``(T,)`` on the CPU, without scales; None if only features were measured.
        gramian: inner products of the task gradients, ``(T, T)`` float64 on the CPU.
        jacobian: task gradients by the shared parameters, ``(T, N)`` on the device, or None.
        affinity: Z ``(T, T)`` float64 on the CPU, from row to column, or None.
    """

    tasks: tuple[str, ...]
    active: Tensor
    losses: Tensor | None
    gramian: Tensor
    jacobian: Tensor | None
    affinity: Tensor | None

    def descents(self, shared: tuple[nn.Parameter, ...]) -> dict[str, float]:
        """Return label -> cosine of a task's gradient and the update now in ``.grad``.

        The update is what the weighting made, before the optimizer's momentum and scaling. Where
        the cosine is negative the step raises the task's loss, to first order.
        """
        if self.jacobian is None:
            return {}
        update = flat([parameter.grad for parameter in shared], shared)
        norms = self.jacobian.norm(dim=1) * update.norm()
        cosines = (self.jacobian @ update / norms.clamp(min=1e-30)).tolist()
        pairs = zip(self.tasks, cosines, self.active.tolist(), strict=True)
        return {task: cosine for task, cosine, active in pairs if active}


def measure_gradients(
    learner: Learner,
    phase: Phase,
    batches: Mapping[str, Batch],
    engine: Engine,
    number: int,
    what: Diagnosis,
) -> GradientMeasurement | None:
    """Measure the task gradients of a training step before it is done; nothing changes by it.

    The forward passes are those of the step, BatchNorm and dropout included, in full precision.

    Args:
        learner: what is trained.
        phase: its objectives.
        batches: of the step.
        engine: device and accumulation.
        number: of the step in its phase, from 0.
        what: to measure.

    Returns:
        None where nothing can be measured: one task, or no parameters that tasks share.
    """
    shared = shared_parameters(learner.model)
    if len(phase.objectives) < 2 or not shared:
        return None
    learner.train_mode()
    with untouched(learner.model):
        step = _forward(learner, phase, batches, engine, number, what)
        return _seen(step, shared, what)


def _forward(
    learner: Learner,
    phase: Phase,
    batches: Mapping[str, Batch],
    engine: Engine,
    number: int,
    what: Diagnosis,
) -> StepForward:
    progress = number / phase.num_steps
    learner.model.body.begin_step(progress)
    gradient_options = replace(phase.recipe.gradient_options, gradients=what.gradients)
    return StepForward.of(
        # What is not a task's stays out, and untouched.
        replace(learner, terms=nn.ModuleDict(), balance=NoBalance()),
        replace(phase, recipe=replace(phase.recipe, gradient_options=gradient_options)),
        # On every rank all rows: what is measured needs no exchange.
        replace(engine, precision="fp32", world=ALONE),
        batches,
        progress,
    )


def _seen(
    step: StepForward, shared: tuple[nn.Parameter, ...], what: Diagnosis
) -> GradientMeasurement:
    features, losses, jacobian, affinity = takes_features(step), None, None, None
    if what.affinity or not features:
        with preserved_randomness():
            jacobian, losses = by_parameters(step, shared)
        if what.affinity:
            affinity = affinities(step, shared, jacobian, losses)
    gradients = by_features(step) if features else jacobian
    assert gradients is not None
    return GradientMeasurement(
        tasks=tuple(objective.label for objective in step.phase.objectives),
        active=(step.num_labelled > 0).cpu(),
        losses=None if losses is None else losses.cpu(),
        gramian=(gradients @ gradients.T).double().cpu(),
        jacobian=jacobian,
        affinity=affinity,
    )


def affinities(
    step: StepForward, shared: Sequence[nn.Parameter], jacobian: Tensor, losses: Tensor
) -> Tensor:
    """Return Z ``(T, T)`` float64 on the CPU, from row to column.

    Not finite for tasks without a labelled row in the step, and for losses of 0.

    Args:
        step: the forward passes.
        shared: θ, each of which moves at its learning rate in the optimizer.
        jacobian: ∇_θ L_i ``(T, N)``.
        losses: L_j(θ) ``(T,)``, under the random numbers that are next.
    """
    rates = learning_rates(step.learner.optimizer, shared)
    rows = []
    for gradient in jacobian:
        with _stepped(shared, gradient, rates), preserved_randomness():
            rows.append(1 - mean_losses(step).double() / losses.double())
    affinity = torch.stack(rows).cpu()
    affinity[step.num_labelled.cpu() == 0] = torch.nan  # a task without labels takes no step
    return affinity


def learning_rates(optimizer: Optimizer, parameters: Sequence[nn.Parameter]) -> list[float]:
    """Return the current learning rate of each parameter."""
    rates = {id(p): float(g["lr"]) for g in optimizer.param_groups for p in g["params"]}
    return [rates[id(parameter)] for parameter in parameters]


@contextmanager
def _stepped(
    parameters: Sequence[nn.Parameter], gradient: Tensor, rates: Sequence[float]
) -> Iterator[None]:
    """Move the parameters against ``gradient (N,)``; afterwards they are exactly what they were."""
    before = [parameter.detach().clone() for parameter in parameters]
    pieces = gradient.split([parameter.numel() for parameter in parameters])
    with torch.no_grad():
        for parameter, piece, rate in zip(parameters, pieces, rates, strict=True):
            parameter.sub_(piece.view(parameter.shape), alpha=rate)
        try:
            yield
        finally:
            for parameter, value in zip(parameters, before, strict=True):
                parameter.copy_(value)
