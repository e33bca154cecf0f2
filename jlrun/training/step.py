"""One optimizer step: forward over all streams, losses, weighting, backward, update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.engine import Engine
from jlrun.errors import RunError
from jlrun.training.backward import backward, num_samples
from jlrun.training.forward import MicroBatchLosses, StepForward
from jlrun.training.learner import Learner
from jlrun.training.plan import Phase


@dataclass(frozen=True)
class StepStats:
    """What a step measured, detached and still on the device.

    Attributes:
        task_losses: ``(T,)``, means over the step's labelled rows; 0 for a task without any.
        active: Bool ``(T,)``: tasks with labelled rows in the step.
        term_losses: ``(J,)``, R_j before λ and α_j.
        total_loss: scalar, what was differentiated; for weightings of task gradients the plain sum.
        grad_norm: scalar, of all gradients together, before clipping.
        readings: tag -> scalar, what the balance of modalities measured; not a number where it
            measured nothing.
    """

    task_losses: Tensor
    active: Tensor
    term_losses: Tensor
    total_loss: Tensor
    grad_norm: Tensor
    readings: Mapping[str, Tensor] = field(default_factory=dict)


def train_step(
    learner: Learner, phase: Phase, batches: Mapping[str, Batch], engine: Engine, number: int
) -> StepStats:
    """Do one optimizer step on a batch of each stream, in ``engine.accumulate`` parts.

    A part's loss of a task counts with its share of the rows labelled for the task, so that the
    parts' gradients add up to those of the whole batch.

    Args:
        learner: what is trained.
        phase: its objectives and recipe.
        batches: stream -> batch on the device.
        engine: precision, accumulation and clipping.
        number: of the step in its phase, from 0.

    Raises:
        RunError: if a learning rate is too large for a step to be a number.
    """
    learner.train_mode()
    learner.optimizer.zero_grad(set_to_none=True)
    progress = number / phase.num_steps
    learner.model.body.begin_step(progress)
    samples = num_samples(learner.weighting)
    step = StepForward.of(learner, phase, engine, batches, progress, samples)
    runs, total = backward(step, number)
    readings = learner.balance.after_backward(step.done(runs))
    learner.scaler.unscale_(learner.optimizer)
    grad_norm = engine.clip(learner.parameters())
    _step(learner)
    learner.scaler.update()
    learner.weighting.after_step(step.values_now)
    learner.after_step(progress)
    return replace(_stats(step, runs, total, grad_norm), readings=readings)


def _step(learner: Learner) -> None:
    try:
        learner.scaler.step(learner.optimizer)
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        rate = max(float(group["lr"]) for group in learner.optimizer.param_groups)
        message = f"a step with a learning rate of {rate:g} is too large to be a number"
        raise RunError(f"{message}: try optimizer.lr=1e-3") from error


def _stats(
    step: StepForward, runs: Sequence[MicroBatchLosses], total: Tensor, grad_norm: Tensor
) -> StepStats:
    losses = torch.stack([run.means * run.counts for run in runs]).sum(dim=0)
    shares = zip(step.parts, runs, strict=True)
    terms = torch.stack([run.terms.detach() * step.share(part) for part, run in shares]).sum(dim=0)
    return StepStats(
        task_losses=losses / step.num_labelled.clamp(min=1),
        active=step.num_labelled > 0,
        term_losses=terms,
        total_loss=total,
        grad_norm=grad_norm.detach(),
    )
