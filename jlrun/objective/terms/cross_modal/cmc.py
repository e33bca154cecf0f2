"""CMC: contrastive learning between modalities, with negatives from earlier steps."""

# N rows of a step;  Q rows that are remembered;  P width of the space;  τ momentum of the copy

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.positives import positives
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import PhaseStart, StepView, precise
from jlrun.objective.terms.cross_modal.base import CrossModal, Pair, Rows, rows_of
from jlrun.objective.terms.cross_modal.losses import spread_cross_entropy
from jlrun.objective.terms.self_supervised.projector import placed
from jlrun.objective.terms.transfer.frozen import FrozenModel, follow
from jlrun.ranges import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Probability,
)


class ProjectionQueue(nn.Module):
    """Queue of the last Q projections of a modality.

    Args:
        size: Q.
        width: P.
    """

    vectors: Tensor
    keys: Tensor
    count: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(size, width))
        self.register_buffer("keys", torch.full((size,), -1))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))  # vectors added so far

    def add(self, vectors: Tensor, keys: Tensor) -> None:
        """Add vectors ``(N, P)``; of more than Q the last ones."""
        size = len(self.vectors)
        vectors, keys = vectors[-size:], keys[-size:]
        places = (self.count + torch.arange(len(vectors), device=keys.device)) % size
        self.vectors[places] = vectors.to(self.vectors)
        self.keys[places] = keys
        self.count += len(vectors)

    def empty(self) -> Tensor:
        """Return which entries are still empty: Bool ``(Q,)``."""
        return torch.arange(len(self.keys), device=self.keys.device) >= self.count


@dataclass(frozen=True)
class _Targets:
    """Projections of a step's rows by the slow copy: modality -> ``(N, P)`` of length 1."""

    vectors: Mapping[str, Tensor]
    rows: Rows


class CMC(CrossModal):
    """R = the mean over pairs of modalities of the contrastive losses of both directions, summed.

    The right answer and the negatives are projections by a slow copy of the model: of the rows of
    the step and of the last ``memory`` rows before it. Section 3 of Tian, Krishnan and Isola,
    "Contrastive Multiview Coding", ECCV 2020: all pairs are its full graph, an ``anchor`` its core
    view. Differs from it in: the softmax is over all negatives and not estimated; the memory holds
    the last rows and not a running mean for each training row, so a slow copy, ξ ← τ ξ + (1 − τ) θ,
    keeps it from growing stale, as in He et al., "Momentum Contrast", CVPR 2020 (stale negatives
    would be recognised by their age); positives are never negatives; pairs are averaged.

    Args:
        weight, space, modalities, anchor, positives, hidden, out_features: as in `CrossModal`.
        temperature: by which cosines are divided.
        memory: Q, rows that are stored, from the last micro-batch of each step.
        momentum: τ of the slow copy.
    """

    memories: nn.ModuleDict
    teacher: FrozenModel

    def __init__(
        self,
        weight: NonNegativeFloat = 1.0,
        space: str = "cmc",
        modalities: Sequence[str] | None = None,
        anchor: str | None = None,
        positives: Sequence[str] | None = None,
        hidden: NonNegativeInt = 0,
        out_features: PositiveInt = 128,
        temperature: PositiveFloat = 0.07,
        memory: PositiveInt = 1024,
        momentum: Probability = 0.99,
    ) -> None:
        super().__init__(weight, space, modalities, anchor, positives, hidden, out_features)
        self.temperature = temperature
        self.memory = memory
        self.momentum = momentum
        self._targets: _Targets | None = None

    def begin_phase(self, start: PhaseStart) -> None:
        super().begin_phase(start)
        model, space = start.model, start.model.space(self.space)
        if space is None:
            return
        made = {m: ProjectionQueue(self.memory, self.out_features) for m in space.modalities}
        self.memories = placed(nn.ModuleDict(made), model)
        # The names of heads only: a body may compute features per head.
        followed = JointModel(model.body, {name: nn.Identity() for name in model.heads})
        followed.spaces[self.space] = space
        self.teacher = FrozenModel(followed)

    def forward(self, view: StepView) -> Tensor:
        if cast(JointModel, view.model).space(self.space) is not None:
            self._targets = self._slow_projections(view)
        return super().forward(view)

    def pair_loss(self, pair: Pair) -> Tensor:
        one, other = pair.modalities
        x, y = F.normalize(pair.first, dim=1), F.normalize(pair.second, dim=1)
        return self._direction(x, pair, other) + self._direction(y, pair, one)

    def _direction(self, x: Tensor, pair: Pair, modality: str) -> Tensor:
        """Return the loss of finding the rows' vectors of ``modality`` by ``x``."""
        assert self._targets is not None, "`forward` comes first"
        memory = cast(ProjectionQueue, self.memories[modality])
        now = self._targets.vectors[modality][pair.rows].to(x)
        left_out = memory.empty() | positives(pair.keys, memory.keys)
        # Copied: `after_step` changes what is remembered, and a graph may outlive the step.
        before = (x @ memory.vectors.to(x).clone().T).masked_fill(left_out, -torch.inf)
        logits = torch.cat([x @ now.T, before], dim=1) / self.temperature
        itself = torch.eye(len(x), device=x.device).bool()
        positive = F.pad(positives(pair.keys, pair.keys) | itself, (0, len(memory.keys)))
        return spread_cross_entropy(logits, positive)

    @torch.no_grad()
    def _slow_projections(self, view: StepView) -> _Targets:
        model = self.teacher.model
        rows = rows_of(StepView(model, view.batches, {}, view.progress), self.positives)
        vectors = model.spaces[self.space](rows.features)
        return _Targets({m: F.normalize(precise(z), dim=1) for m, z in vectors.items()}, rows)

    @torch.no_grad()
    def after_step(self, model: nn.Module, progress: float) -> None:
        """Store the rows of the step, and update the copy.

        Not in `forward`, which must not change state: it also runs in evaluation.
        """
        if self._targets is None:
            return
        for modality, vectors in self._targets.vectors.items():
            present = self._targets.rows.present[modality]
            memory = cast(ProjectionQueue, self.memories[modality])
            memory.add(vectors[present], self._targets.rows.keys[present])
        self._targets = None
        own, copied = cast(JointModel, model), self.teacher.model
        follow(own.body, copied.body, self.momentum)
        follow(own.spaces[self.space], copied.spaces[self.space], self.momentum)
