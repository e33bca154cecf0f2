"""OGM-GE: slows the encoder of the leading modality, and adds noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.models.fusions import Concat
from jlrun.models.fusions.late import LateHead
from jlrun.models.joint_model import JointModel, encoder_parameters, widths
from jlrun.models.sharing import Hard
from jlrun.objective.balance.base import Balance, BalanceStart, Measured, MicroBatchView, StepDone
from jlrun.objective.balance.unimodal import (
    UnimodalHeads,
    check_no_dense_tasks,
    coefficient_readings,
    has_classes,
    loss_readings,
    require_classes,
    right_probability,
)
from jlrun.objective.labelled_rows import usable
from jlrun.ranges import NonNegativeFloat


class OGMGE(Balance):
    """Gradients of encoder m become k_m g + N(0, std²(g)): on-the-fly gradient modulation.

    s_m is the mean probability of the right class by modality m alone, ρ_m = s_m over the mean of
    the others', k_m = 1 − tanh(α ρ_m) where ρ_m > 1, else 1. Peng et al., "Balanced Multimodal
    Learning via On-the-fly Gradient Modulation", CVPR 2022, sections 3.3 and 3.4.

    Differs from it in: any number of modalities and of tasks (all predictions count equally; tasks
    without classes do not count); all parameters of the encoders, where the authors' code changes
    convolutions alone. As in the paper, the logits of a linear head on `concat` are split by
    modality for the scores; so are those of `late`. Under other fusions the scores are those of
    linear heads on the features, which train alongside the model and do not change it. Noise has
    the standard deviation of each parameter's gradient before it is scaled, as in the authors'
    code.

    Args:
        alpha: α, strength of the slowing.
        noise: whether noise is added (generalization enhancement, GE).
    """

    def __init__(self, alpha: NonNegativeFloat = 0.3, noise: bool = True) -> None:
        super().__init__()
        self.alpha = alpha
        self.noise = noise
        self.heads: UnimodalHeads | None = None

    def begin_phase(self, start: BalanceStart) -> None:
        super().begin_phase(start)
        check_no_dense_tasks(start.objectives)
        require_classes(start.objectives, "ogm_ge")
        separable = is_separable(start.model, [o.head for o in start.objectives])
        self.heads = None if separable else UnimodalHeads(start)

    def measure(self, view: MicroBatchView) -> Measured:
        loss, seen = None, self._scores(view)
        if self.heads is not None:
            losses = self.heads.losses(view, detach=True)
            loss = (losses * view.scales).sum()
            seen["losses"] = losses.detach()
        return Measured(loss, seen=seen)

    @torch.no_grad()
    def after_backward(self, done: StepDone) -> Mapping[str, Tensor]:
        k = coefficients(done.seen["scores"] / done.seen["answers"], self.alpha)
        for factor, modality in zip(k.unbind(), self.modalities, strict=True):
            for parameter in encoder_parameters(done.model, modality):
                if parameter.grad is not None:
                    self._change(parameter.grad, factor)
        readings = coefficient_readings(k, self.modalities)
        if self.heads is not None:
            losses = done.seen["losses"]
            readings |= loss_readings(losses, done.counts, self.modalities, self.objectives)
        return readings

    def _change(self, grad: Tensor, factor: Tensor) -> None:
        spread = grad.std(correction=0)
        grad.mul_(factor)
        if self.noise:
            grad.add_(torch.randn_like(grad) * spread)

    @torch.no_grad()
    def _scores(self, view: MicroBatchView) -> dict[str, Tensor]:
        """Return sums ``(M,)`` over the predictions: probabilities, and their number."""
        scores = view.counts.new_zeros(len(self.modalities))
        answers = torch.zeros_like(scores)
        for i, modality in enumerate(self.modalities):
            for o in self.objectives:
                batch = view.batches.get(o.stream)
                if batch is None or not has_classes(o.spec.task):
                    continue
                rows = usable(o, batch, modality)
                features = view.outputs[o.stream].features[modality][rows]
                logits = (
                    own_logits(view.model, o.head, modality, features)
                    if self.heads is None
                    else self.heads(modality, o, features)
                )
                target = batch.targets[o.spec.column][rows]
                scores[i] += right_probability(o.spec.task, logits.float(), target).sum()
                answers[i] += rows.sum()
        return {"scores": scores, "answers": answers}


def coefficients(scores: Tensor, alpha: float) -> Tensor:
    """Return k ``(M,)`` of the mean scores ``(M,)``, NaN without predictions: there 1.

    1 for all if fewer than two modalities have any.
    """
    known = ~scores.isnan()
    s = torch.where(known, scores, 0.0)
    others = (s.sum() - s) / (known.sum() - 1).clamp(min=1)
    ratio = s / others.clamp(min=torch.finfo(s.dtype).tiny)
    slowed = known & (known.sum() > 1) & (ratio > 1)
    return torch.where(slowed, 1 - (alpha * ratio).tanh(), 1.0)


def is_separable(model: JointModel, heads: Sequence[str]) -> bool:
    """Whether logits are a sum (`Concat` and a linear head) or a mean (`Late`) over modalities."""
    if not isinstance(model.body, Hard):
        return False
    networks = [model.heads[head] for head in heads]
    if isinstance(model.body.trunk.fusion, Concat):
        return all(isinstance(network, nn.Linear) for network in networks)
    return all(isinstance(network, LateHead) for network in networks)


def own_logits(model: JointModel, head: str, modality: str, features: Tensor) -> Tensor:
    """Return the logits of ``head`` by one modality, ``(B, outputs)``.

    Of a linear head on concatenated features they are W_m f_m + b / M (Peng et al., 2022, eq. 8);
    the heads of `late` are per modality already.

    Args:
        model: one that `is_separable`.
        head: its name.
        modality: its name.
        features: of the modality, ``(B, D_m)``.
    """
    network = model.heads[head]
    if isinstance(network, LateHead):
        return network.parts[modality](features)
    linear, sizes = cast(nn.Linear, network), widths(model)
    weights = dict(zip(sizes, linear.weight.split(list(sizes.values()), dim=1), strict=True))
    bias = None if linear.bias is None else linear.bias / len(sizes)
    return F.linear(features, weights[modality], bias)
