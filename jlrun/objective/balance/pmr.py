"""PMR: draws lagging modalities to the prototypes of their classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.errors import UserError
from jlrun.objective.balance.base import Balance, BalanceStart, Measured, MicroBatchView, StepDone
from jlrun.objective.balance.unimodal import (
    check_no_dense_tasks,
    coefficient_readings,
    loss_readings,
)
from jlrun.objective.labelled_rows import usable
from jlrun.ranges import Fraction, NonNegativeFloat, Probability
from jlrun.tasks import Binary, Multiclass

if TYPE_CHECKING:
    from jlrun.tasks.objective import Objective


class PMR(Balance):
    """``L = L_mm + α Σ_m clip(1/ρ_m − 1) L_PCE,m − μ Σ_m clip(ρ_m − 1) H_m``, clipped to [0, 1].

    L_PCE,m is the cross-entropy of p_m = softmax(−‖f_m − c_m‖) over the prototypes c_m of the
    classes, running means of the modality's features, H_m the mean entropy of p_m, in the first
    part of the phase alone, and ρ_m = s_m over the mean of the others', where s_m is the mean
    p_m of the right class. Lagging modalities learn faster, and a leading one does not converge
    early. Fan et al., "PMR: Prototypical Modal Rebalance for Multimodal Learning", CVPR 2023, the
    method section.

    Differs from it in: any number of modalities and of tasks (those with exclusive classes count);
    prototypes follow the batches of all steps, where the authors compute them once in an epoch from
    a tenth of the rows; ρ is that of the step before, so that N micro-batches give the same step as
    one batch; a class counts once a row of it was seen.

    Args:
        alpha: α, strength of the prototypical cross-entropy.
        entropy: μ, strength of the entropy.
        entropy_share: first share of the phase's steps in which it acts.
        momentum: share of a prototype that stays in a step with rows of its class.
    """

    spans_phase = True

    def __init__(
        self,
        alpha: NonNegativeFloat = 1.0,
        entropy: NonNegativeFloat = 0.01,
        entropy_share: Probability = 0.3,
        momentum: Fraction = 0.9,
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.entropy = entropy
        self.entropy_share = entropy_share
        self.momentum = momentum
        self.ratio: Tensor

    def begin_phase(self, start: BalanceStart) -> None:
        super().begin_phase(start)
        check_no_dense_tasks(start.objectives)
        counted = {o.head: _num_classes(o) for o in start.objectives if _num_classes(o)}
        if not counted:
            raise UserError.of(
                "balance",
                "pmr needs a task with exclusive classes (multiclass or binary); use "
                "balance=uniform, mmpareto or gradient_blend",
            )
        self.prototypes = nn.ModuleDict(
            {
                modality: nn.ModuleDict({h: Prototypes(n, width) for h, n in counted.items()})
                for modality, width in start.widths.items()
            }
        )
        self.register_buffer("ratio", torch.ones(len(self.modalities)))

    def count(self, batches: Mapping[str, Batch]) -> Tensor:
        """Return ``(M, K)``: rows with the modality, a label, and a prototype of it."""
        first = next(iter(batches.values()))
        device = next(iter(first.inputs.values())).device
        counts = torch.zeros(len(self.modalities), len(self.objectives), device=device)
        for i, modality, k, o, batch in self._pairs(batches):
            rows = usable(o, batch, modality)
            target = batch.targets[o.spec.column][rows]
            counts[i, k] = self._of(modality, o).known[target.long()].sum()
        return counts

    def measure(self, view: MicroBatchView) -> Measured:
        losses = torch.zeros_like(view.counts).unbind()
        losses = [list(row.unbind()) for row in losses]
        entropies = [list(row) for row in losses]
        scores, seen = torch.zeros_like(view.counts), dict[str, Tensor]()
        for i, modality, k, o, batch in self._pairs(view.batches):
            rows = usable(o, batch, modality)
            features = view.outputs[o.stream].features[modality][rows].float()
            target = batch.targets[o.spec.column][rows].long()
            prototypes = self._of(modality, o)
            loss, entropy, right = prototypes(features, target)
            losses[i][k], entropies[i][k], scores[i, k] = loss, entropy, right
            for name, tensor in prototypes.sums(features.detach(), target).items():
                key = f"{modality}/{o.head}/{name}"
                seen[key] = seen[key] + tensor if key in seen else tensor
        means = view.counts.clamp(min=1)
        pce = torch.stack([torch.stack(row) for row in losses]) / means
        entropy = torch.stack([torch.stack(row) for row in entropies]) / means
        behind, ahead = (1 / self.ratio - 1).clamp(0, 1), (self.ratio - 1).clamp(0, 1)
        total = self.alpha * (behind[:, None] * pce * view.scales).sum()
        if view.progress < self.entropy_share:
            total = total - self.entropy * (ahead[:, None] * entropy * view.scales).sum()
        return Measured(total, seen=seen | {"losses": pce.detach(), "scores": scores})

    @torch.no_grad()
    def after_backward(self, done: StepDone) -> Mapping[str, Tensor]:
        readings = coefficient_readings(self.ratio, self.modalities)
        answers = done.counts.sum(dim=1)
        self.ratio = ratios(done.seen["scores"].sum(dim=1) / answers)
        for modality in self.modalities:
            for o in {o.head: o for o in self.objectives if _num_classes(o)}.values():
                sums, counts = (
                    done.seen.get(f"{modality}/{o.head}/{n}") for n in ("sums", "counts")
                )
                if sums is not None and counts is not None:
                    self._of(modality, o).follow(sums, counts, self.momentum)
        losses = done.seen["losses"]
        return readings | loss_readings(losses, done.counts, self.modalities, self.objectives)

    def _of(self, modality: str, objective: Objective) -> Prototypes:
        by_head = self.prototypes[modality]
        assert isinstance(by_head, nn.ModuleDict)
        found = by_head[objective.head]
        assert isinstance(found, Prototypes)
        return found

    def _pairs(
        self, batches: Mapping[str, Batch]
    ) -> Iterator[tuple[int, str, int, Objective, Batch]]:
        """Yield modality and objective, with their positions, where there are classes and rows."""
        for i, modality in enumerate(self.modalities):
            for k, o in enumerate(self.objectives):
                if o.stream in batches and _num_classes(o):
                    yield i, modality, k, o, batches[o.stream]


def ratios(scores: Tensor) -> Tensor:
    """Return ρ ``(M,)`` of the mean scores ``(M,)``; 1 without predictions."""
    known = ~scores.isnan()
    s = torch.where(known, scores, 0.0)
    others = (s.sum() - s) / (known.sum() - 1).clamp(min=1)
    tiny = torch.finfo(s.dtype).tiny
    found = s.clamp(min=tiny) / others.clamp(min=tiny)
    return torch.where(known & (known.sum() > 1), found, 1.0)


def _num_classes(objective: Objective) -> int:
    """Return the number of exclusive classes; 0 where a task has none."""
    task = objective.spec.task
    if isinstance(task, Binary):
        return 2
    return objective.spec.num_outputs if isinstance(task, Multiclass) else 0


class Prototypes(nn.Module):
    """Running means of the features of each class.

    Args:
        num_classes: C.
        width: D of the features.
    """

    def __init__(self, num_classes: int, width: int) -> None:
        super().__init__()
        self.centres: Tensor
        self.known: Tensor
        self.register_buffer("centres", torch.zeros(num_classes, width))
        self.register_buffer("known", torch.zeros(num_classes, dtype=torch.bool))

    def forward(self, features: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return sums over the rows whose class is known: −log p_y, the entropy of p, and p_y.

        p = softmax(−‖f − c‖) over the known classes; the last is detached.

        Args:
            features: f ``(B, D)`` float32.
            target: y int64 ``(B,)``.
        """
        rows = self.known[target]
        features, target = features[rows], target[rows]
        distances = torch.cdist(features, self.centres, compute_mode="donot_use_mm_for_euclid_dist")
        log_p = (-distances).masked_fill(~self.known, -torch.inf).log_softmax(dim=1)
        right = log_p.gather(1, target[:, None])
        log_p = log_p.masked_fill(~self.known, 0.0)
        p = log_p.exp() * self.known
        return -right.sum(), -(p * log_p).sum(), right.detach().exp().sum()

    def sums(self, features: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the sums of features of each class ``(C, D)`` and how many there are ``(C,)``."""
        sums = torch.zeros_like(self.centres).index_add(0, target, features)
        ones = features.new_ones(len(target))
        counts = features.new_zeros(len(self.centres)).index_add(0, target, ones)
        return {"sums": sums, "counts": counts}

    def follow(self, sums: Tensor, counts: Tensor, momentum: float) -> None:
        """Move towards the means of a step; a new class starts at its mean."""
        seen = counts > 0
        means = sums / counts.clamp(min=1)[:, None]
        kept = torch.where(self.known, momentum, 0.0)[:, None]
        moved = kept * self.centres + (1 - kept) * means
        self.centres = torch.where(seen[:, None], moved, self.centres)
        self.known = self.known | seen
