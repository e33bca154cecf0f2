"""One optimizer step: forward over all streams, losses, weighting, backward, update."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.engine import Engine
from jlrun.learner import Learner
from jlrun.phase import Objective, Phase
from jlrun.terms.base import StepView
from jlrun.weightings.base import TaskLosses


@dataclass(frozen=True)
class StepStats:
    """What a step measured, detached and still on the device.

    Attributes:
        task_losses: ``(T,)``, means over the step's labelled rows; 0 for a task without any.
        active: Bool ``(T,)``: tasks with labelled rows in the step.
        term_losses: ``(J,)``, R_j before λ and α_j.
        total_loss: scalar, what was differentiated.
        grad_norm: scalar, of all gradients together, before clipping.
    """

    task_losses: Tensor
    active: Tensor
    term_losses: Tensor
    total_loss: Tensor
    grad_norm: Tensor


def train_step(
    learner: Learner, phase: Phase, batches: Mapping[str, Batch], engine: Engine, progress: float
) -> StepStats:
    """Do one optimizer step on a batch of each stream, in ``engine.accumulate`` parts.

    A part's loss of a task counts with its share of the rows labelled for the task, so that the
    parts' gradients add up to those of the whole batch (for weightings that are linear in the
    losses).

    Args:
        learner: what is trained.
        phase: its objectives and recipe.
        batches: stream -> batch on the device.
        engine: precision, accumulation and clipping.
        progress: share of the phase's steps that are done.
    """
    learner.train_mode()
    learner.optimizer.zero_grad(set_to_none=True)
    num_rows = sum(batch.size for batch in batches.values())
    num_labelled = _num_labelled(phase, batches)
    sums = _Sums()
    for part in _parts(batches, engine.accumulate):
        share = sum(batch.size for batch in part.values()) / num_rows
        with engine.autocast():
            losses, unscaled, counts, terms = _forward(learner, phase, part, progress)
        # Terms, and what a weighting adds by itself, count with the share of all rows instead.
        factors = counts / num_labelled.clamp(min=1) / share
        losses = replace(losses, values=losses.values * factors)
        total = learner.weighting(losses) + phase.recipe.term_scale * _weighted(learner, terms)
        learner.scaler.scale(total * share).backward()
        sums.add(unscaled, counts, terms, total, share)
    learner.scaler.unscale_(learner.optimizer)
    grad_norm = engine.clip(learner.parameters())
    learner.scaler.step(learner.optimizer)
    learner.scaler.update()
    learner.weighting.after_step(lambda: _losses_now(learner, phase, batches, engine, progress))
    return sums.stats(grad_norm)


class _Sums:
    """Adds up what the parts of a step measured."""

    def __init__(self) -> None:
        self._losses: Tensor | float = 0.0
        self._counts: Tensor | float = 0.0
        self._terms: Tensor | float = 0.0
        self._total: Tensor | float = 0.0

    def add(
        self, losses: Tensor, counts: Tensor, terms: Tensor, total: Tensor, share: float
    ) -> None:
        self._losses = self._losses + losses * counts
        self._counts = self._counts + counts
        self._terms = self._terms + terms.detach() * share
        self._total = self._total + total.detach() * share

    def stats(self, grad_norm: Tensor) -> StepStats:
        losses, counts = torch.as_tensor(self._losses), torch.as_tensor(self._counts)
        return StepStats(
            task_losses=losses / counts.clamp(min=1),
            active=counts > 0,
            term_losses=torch.as_tensor(self._terms),
            total_loss=torch.as_tensor(self._total),
            grad_norm=grad_norm.detach(),
        )


def _num_labelled(phase: Phase, batches: Mapping[str, Batch]) -> Tensor:
    """Return the number of rows labelled for each objective, ``(T,)``."""
    counts = []
    for objective in phase.objectives:
        batch = batches[objective.stream]
        mask = batch.labelled.get(objective.spec.name)
        device = batch.targets[objective.spec.name].device
        rows = torch.tensor(batch.size, device=device) if mask is None else mask.sum()
        counts.append(rows.float())
    return torch.stack(counts)


def _parts(batches: Mapping[str, Batch], count: int) -> list[dict[str, Batch]]:
    if count == 1:
        return [dict(batches)]
    chunks = {name: batch.chunks(count) for name, batch in batches.items()}
    longest = max(len(parts) for parts in chunks.values())
    return [
        {name: parts[i] for name, parts in chunks.items() if i < len(parts)} for i in range(longest)
    ]


def _forward(
    learner: Learner, phase: Phase, batches: Mapping[str, Batch], progress: float
) -> tuple[TaskLosses, Tensor, Tensor, Tensor]:
    """Return the losses to weigh, the same without the objectives' scales and off the graph, the
    labelled rows behind each, and the terms."""
    outputs = {
        name: learner.model(batch, [o.head for o in phase.objectives if o.stream == name])
        for name, batch in batches.items()
    }
    device = next(iter(outputs.values())).fused.device
    values, counts = [], []
    for objective in phase.objectives:
        if objective.stream in batches:
            logits = outputs[objective.stream].logits[objective.head]
            loss, count = objective_loss(objective, logits, batches[objective.stream])
        else:
            loss, count = torch.zeros((), device=device), torch.zeros((), device=device)
        values.append(loss)
        counts.append(count)
    tasks = {o.head: o.spec.task for o in phase.objectives}
    view = StepView(learner.model, dict(batches), outputs, progress, tasks)
    terms = [term(view).float() for term in learner.terms.values()]
    stacked, stacked_counts = torch.stack(values), torch.stack(counts)
    scales = stacked.new_tensor([o.scale for o in phase.objectives])
    losses = TaskLosses(
        names=tuple(o.label for o in phase.objectives),
        values=stacked * scales,
        active=stacked_counts > 0,
        taps=tuple(output.fused for output in outputs.values()),
        shared=learner.shared_parameters(),
        loss_scale=learner.scaler.get_scale() if learner.scaler.is_enabled() else 1.0,
    )
    stacked_terms = torch.stack(terms) if terms else torch.zeros(0, device=device)
    return losses, stacked.detach(), stacked_counts, stacked_terms


def objective_loss(objective: Objective, logits: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the mean loss over labelled rows and their number; both scalars.

    Without a labelled row the loss is 0 and has no gradient. A mixed row's loss is that of its two
    targets, in the shares in which it was mixed.
    """
    task, name = objective.spec.task, objective.spec.name
    target, logits = batch.targets[name], logits.float()
    rows = batch.labelled.get(name)
    weight, other = batch.mix_weight, batch.mixed_targets.get(name)
    if rows is not None:
        logits, target = logits[rows], target[rows]
        weight = None if weight is None else weight[rows]
        other = None if other is None else other[rows]
    losses = task.loss(logits, target)
    if weight is not None and other is not None:
        losses = weight * losses + (1 - weight) * task.loss(logits, other)
    count = torch.tensor(float(len(losses)), device=losses.device)
    return losses.sum() / max(1, len(losses)), count


def _weighted(learner: Learner, terms: Tensor) -> Tensor:
    alphas = [float(term.weight) for term in learner.terms.values()]  # pyright: ignore
    return (terms * terms.new_tensor(alphas)).sum()


@torch.no_grad()
def _losses_now(
    learner: Learner, phase: Phase, batches: Mapping[str, Batch], engine: Engine, progress: float
) -> Tensor:
    with engine.autocast():
        losses, _, _, _ = _forward(learner, phase, batches, progress)
    return losses.values
