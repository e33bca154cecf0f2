"""One optimizer step: forward over all streams, losses, weighting, backward, update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.engine import Engine
from jlrun.errors import RunError
from jlrun.optimizers import prepare_fused
from jlrun.training.forward import StepForward
from jlrun.training.learner import Learner
from jlrun.training.micro_batch_losses import MicroBatchLosses
from jlrun.training.passes import num_samples, passes_of
from jlrun.training.plan import Phase
from jlrun.training.stats import StepStats
from jlrun.training.timed import timed

_LARGEST_RATE = 1.0  # that a tenth of is worth a try
_PARTS = ("body", "head", "lora")  # whose rates `finetune` multiplies


class NotFinite(RunError):
    """A loss or the gradient of a step is not a finite number.

    Args:
        what: the loss, or the gradient, in words.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not a finite number")
        self.what = what


def train_step(
    learner: Learner, phase: Phase, batches: Mapping[str, Batch], engine: Engine, number: int
) -> StepStats:
    """Do one optimizer step on a batch of each stream, in ``engine.accumulate`` micro-batches.

    A micro-batch's loss of a task counts with its share of the rows labelled for the task, so that
    the gradients of the micro-batches add up to those of the whole batch.

    Args:
        learner: what is trained.
        phase: its objectives and recipe.
        batches: stream -> batch on the device.
        engine: precision, accumulation and clipping.
        number: of the step in its phase, from 0.

    Raises:
        NotFinite: if a loss or the gradient is not; no parameter has moved then. Where that is
            asked later (`Engine.checks_later`), `check_finite` is left to the caller.
        RunError: if a learning rate is too large for a step to be a number.
    """
    learner.train_mode()
    learner.forget_gradients()
    progress = number / phase.num_steps
    learner.model.body.begin_step(progress)
    samples = num_samples(learner.weighting)
    forward = StepForward.of(learner, phase, engine, batches, progress, samples)
    losses, total = passes_of(forward, number).run()
    learner.average_statistics()
    readings = {}
    if learner.balance.acts:
        readings = learner.balance.after_backward(forward.done(losses))
    with timed("optimizer"):
        learner.scaler.unscale_(learner.optimizer)
        grad_norm = engine.clip(learner.parameters)
    stats = stats_of(forward, losses, total, grad_norm, readings)
    if not engine.checks_later:
        check_finite(stats, learner, phase)
    with timed("optimizer"):
        _move(learner)
    learner.weighting.after_step(forward.values_now)
    learner.after_step(progress)
    return stats


def stats_of(
    forward: StepForward,
    losses: Sequence[MicroBatchLosses],
    total: Tensor,
    grad_norm: Tensor,
    readings: Mapping[str, Tensor],
) -> StepStats:
    """Return what a step measured; losses of terms are means over its micro-batches' rows."""
    sums, terms = losses[0].row_sums, losses[0].terms.detach()
    if len(losses) > 1:
        shares = [forward.share(micro_batch) for micro_batch in forward.micro_batches]
        sums = torch.stack([each.row_sums for each in losses]).sum(dim=0)
        each_share = zip(losses, shares, strict=True)
        terms = torch.stack([each.terms.detach() * share for each, share in each_share]).sum(dim=0)
    return StepStats(
        loss_sums=sums,
        labelled=forward.counts,
        term_losses=terms,
        total_loss=total,
        grad_norm=grad_norm,
        num_rows=forward.num_rows,
        readings=readings,
    )


def check_finite(stats: StepStats, learner: Learner, phase: Phase) -> None:
    """Check that losses and gradient of a step are finite; waits for the device.

    Raises:
        NotFinite: if they are not.
    """
    # With fp16 a gradient that is not finite is a loss scale that was too large: the scaler skips
    # the step, and lowers it.
    gradients = not learner.scaler.is_enabled()
    what = stats.first_not_finite(phase.labels, tuple(learner.terms), gradients=gradients)
    if what is not None:
        raise NotFinite(what)


def _move(learner: Learner) -> None:
    try:
        if learner.scaler.is_enabled():
            prepare_fused(learner.optimizer)
            learner.scaler.step(learner.optimizer)
            learner.scaler.update()
        else:
            learner.step()
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        rate = max(float(group["lr"]) for group in learner.optimizer.param_groups)
        message = f"a step with a learning rate of {rate:g} is too large to be a number"
        raise RunError(f"{message}: try {lower_rate(learner.optimizer.param_groups)}") from error


def lower_rate(groups: Sequence[Mapping[str, Any]]) -> str:
    """Return an override to try after a learning rate that was too large, of all or of one part.

    Args:
        groups: of parameters of the optimizer.
    """
    largest = max(groups, key=lambda group: group["base_lr"])
    scale, rate = largest.get("lr_scale", 1), largest["base_lr"]
    part = str(largest.get("name", "")).partition("/")[0]
    if scale > 1 and part in _PARTS:
        return f"finetune.{part}_lr={max(1.0, scale / 10) if rate <= _LARGEST_RATE else 1:g}"
    return f"optimizer.lr={rate / 10 if rate <= _LARGEST_RATE else 1e-3:g}"
