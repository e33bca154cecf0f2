"""AGM: scales each encoder's gradient by its modality's lead over its running average."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.errors import UserError
from jlrun.models.joint_model import JointModel, encoder_parameters
from jlrun.models.module_state import evaluating
from jlrun.objective.balance.base import Balance, BalanceStart, Measured, MicroBatchView, StepDone
from jlrun.objective.balance.unimodal import (
    check_no_dense_tasks,
    coefficient_readings,
    has_classes,
    require_classes,
)
from jlrun.objective.labelled_rows import usable
from jlrun.ranges import NonNegativeFloat

MOST_MODALITIES = 4  # 2^M − 1 more forward passes
LEAST_PROBABILITY = 1e-8
MOST_RISE = 10.0  # of τ − r, in the authors' code


class AGM(Balance):
    """Gradients of encoder m become κ_m g, κ_m = exp(−α (r_m − τ_m)): adaptive modulation.

    The response of modality m is its Shapley value in the logits, with the other modalities masked;
    s_m is the mean log-probability of the right class by it alone, r_m = exp(mean over the others
    of s_m − s_m'), and τ_m the same of the means of s over all steps before. Li et al., "Boosting
    Multi-modal Model Performance with Adaptive Gradient Modulation", ICCV 2023; log
    probabilities are at least log 1e-8 and τ − r at most 10, as in the authors' code.

    Differs from it in: κ_m scales the gradient of modality m's encoder, where the paper scales the
    gradient through its response; under `late` fusion that is the same for encoders. Absent means
    masked, as wherever a row lacks a modality, and not an input of zeros. Responses are those of
    the model in evaluation mode, and cost 2^M − 1 forward passes. Tasks without classes do not
    count.

    Args:
        alpha: α.
    """

    def __init__(self, alpha: NonNegativeFloat = 1.0) -> None:
        super().__init__()
        self.alpha = alpha
        self.usual: Tensor
        self.num_steps: Tensor

    def begin_phase(self, start: BalanceStart) -> None:
        super().begin_phase(start)
        check_no_dense_tasks(start.objectives)
        require_classes(start.objectives, "agm")
        count = len(self.modalities)
        if count > MOST_MODALITIES:
            raise UserError.of(
                "balance",
                f"agm passes every set of modalities through the model in each step, {2**count - 1}"
                f" of {count}; choose at most {MOST_MODALITIES} with modalities=[…], or ogm_ge",
            )
        self.register_buffer("usual", torch.zeros(count))
        self.register_buffer("num_steps", torch.zeros(count))

    @torch.no_grad()
    def measure(self, view: MicroBatchView) -> Measured:
        scores = view.counts.new_zeros(len(self.modalities))
        answers = torch.zeros_like(scores)
        counted = [o for o in self.objectives if has_classes(o.spec.task)]
        for name, batch in view.batches.items():
            asked = [o for o in counted if o.stream == name]
            if not asked:
                continue
            with evaluating(view.model):
                heads = tuple(dict.fromkeys(o.head for o in asked))
                responses = logits_by_modality(view.model, batch, heads, self.modalities)
            for o in asked:
                for i, modality in enumerate(self.modalities):
                    rows = usable(o, batch, modality)
                    logits = responses[o.head][i][rows].float()
                    losses = o.spec.task.loss(logits, batch.targets[o.spec.column][rows])
                    scores[i] -= losses.clamp(max=-math.log(LEAST_PROBABILITY)).sum()
                    answers[i] += rows.sum()
        return Measured(seen={"scores": scores, "answers": answers})

    @torch.no_grad()
    def after_backward(self, done: StepDone) -> Mapping[str, Tensor]:
        scores = done.seen["scores"] / done.seen["answers"]
        kappa = coefficients(scores, self.usual, self.alpha)
        for factor, modality in zip(kappa.unbind(), self.modalities, strict=True):
            for parameter in encoder_parameters(done.model, modality):
                if parameter.grad is not None:
                    parameter.grad.mul_(factor)
        known = scores.isfinite()
        self.num_steps += known
        step = (scores - self.usual) / self.num_steps.clamp(min=1)
        self.usual += torch.where(known, step, 0.0)
        return coefficient_readings(kappa, self.modalities)


def coefficients(scores: Tensor, usual: Tensor, alpha: float) -> Tensor:
    """Return κ ``(M,)``; 1 without predictions, and for all if fewer than two modalities have any.

    Args:
        scores: s ``(M,)``, NaN without predictions.
        usual: their means over the steps before, ``(M,)``.
        alpha: α.
    """
    known = ~scores.isnan()
    rise = _ratio(usual, known) - _ratio(torch.where(known, scores, 0.0), known)
    kappa = (alpha * rise.clamp(max=MOST_RISE)).exp()
    return torch.where(known & (known.sum() > 1), kappa, 1.0)


def _ratio(scores: Tensor, known: Tensor) -> Tensor:
    """Return r ``(M,)``: exp of the mean difference to the other known scores."""
    s = scores * known
    others = (s.sum() - s) / (known.sum() - 1).clamp(min=1)
    return (s - others).exp()


def shapley_values(values: Tensor) -> Tensor:
    """Return φ ``(M, …)``, which adds up to the value of the full set minus that of the empty set.

    φ_m = Σ_{S ∌ m} |S|! (M − |S| − 1)! / M! · (v(S ∪ m) − v(S)).

    Args:
        values: v ``(2^M, …)``; bit m of the position says whether m is in the set.
    """
    count = len(values).bit_length() - 1
    rows = []
    for m in range(count):
        bit, total = 1 << m, torch.zeros_like(values[0])
        for subset in range(len(values)):
            if not subset & bit:
                weight = 1 / (count * math.comb(count - 1, subset.bit_count()))
                total += weight * (values[subset | bit] - values[subset])
        rows.append(total)
    return torch.stack(rows)


def logits_by_modality(
    model: JointModel, batch: Batch, heads: Sequence[str], modalities: Sequence[str]
) -> dict[str, Tensor]:
    """Return head -> logits ``(M, B, outputs)`` contributed by each modality: Shapley values.

    The value of a set is the logits where the other modalities are absent, 0 for rows that have
    none of the set.

    Args:
        model: in evaluation mode.
        batch: B rows.
        heads: at least one.
        modalities: all of the model.
    """
    everything = model(batch, heads).logits
    values = {
        head: logits.new_zeros(2 ** len(modalities), *logits.shape)
        for head, logits in everything.items()
    }
    for subset in range(1, 2 ** len(modalities)):
        kept = {m for i, m in enumerate(modalities) if subset >> i & 1}
        for head, logits in _logits_of(model, batch, heads, modalities, kept).items():
            values[head][subset] = logits
    return {head: shapley_values(value) for head, value in values.items()}


def _logits_of(
    model: JointModel,
    batch: Batch,
    heads: Sequence[str],
    modalities: Sequence[str],
    kept: set[str],
) -> Mapping[str, Tensor]:
    """Return head -> logits ``(B, outputs)`` with the other modalities absent."""
    everywhere = next(iter(batch.inputs.values())).new_ones(batch.size, dtype=torch.bool)
    present = {
        m: batch.present.get(m, everywhere) if m in kept else ~everywhere for m in modalities
    }
    some = torch.stack([present[m] for m in kept]).any(dim=0)
    if not bool(some.any()):
        return {}
    rows = some.nonzero()[:, 0]
    logits = model(replace(batch, present=present).select(rows), heads).logits
    return {
        head: found.new_zeros(batch.size, *found.shape[1:]).index_put((rows,), found)
        for head, found in logits.items()
    }
