"""The modalities of a row are nearer to each other than to those of many rows before."""

# N rows of a step;  Q rows that are remembered;  P width of the space;  τ temperature

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.alike import alike
from jlrun.model import JointModel
from jlrun.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from jlrun.terms.base import PhaseStart
from jlrun.terms.cross_modal.base import CrossModal, Pair
from jlrun.terms.cross_modal.losses import spread_cross_entropy


class Memory(nn.Module):
    """The last Q projections of a modality, the oldest replaced first.

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
        self.register_buffer("count", torch.zeros((), dtype=torch.long))  # that were ever added

    def add(self, vectors: Tensor, keys: Tensor) -> None:
        """Add vectors ``(N, P)``; of more than Q the last ones."""
        size = len(self.vectors)
        vectors, keys = vectors[-size:], keys[-size:]
        places = (self.count + torch.arange(len(vectors), device=keys.device)) % size
        self.vectors[places] = vectors.to(self.vectors)
        self.keys[places] = keys
        self.count += len(vectors)

    def empty(self) -> Tensor:
        """Return which places hold nothing yet: Bool ``(Q,)``."""
        return torch.arange(len(self.keys), device=self.keys.device) >= self.count


class Cmc(CrossModal):
    """R = the mean over pairs of modalities of the contrastive losses of both directions, summed.

    The negatives are the other rows of the step and the last ``memory`` rows before it. Section 3
    of Tian, Krishnan and Isola, "Contrastive Multiview Coding", ECCV 2020: all pairs are its full
    graph, an ``anchor`` its core view. Differs from it in: the softmax is over all negatives
    and not estimated; the memory holds the last rows and not one entry for each training row; rows
    that are alike are no negatives; pairs are averaged.

    Args:
        weight, space, modalities, anchor, positives, hidden, out_features: as in `CrossModal`.
        temperature: τ, by which cosines are divided.
        memory: Q, rows that are remembered; those of the last step (of its last part).
    """

    memories: nn.ModuleDict

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
    ) -> None:
        super().__init__(weight, space, modalities, anchor, positives, hidden, out_features)
        self.temperature = temperature
        self.memory = memory
        self._fresh: dict[str, tuple[Tensor, Tensor]] = {}

    def begin_phase(self, start: PhaseStart) -> None:
        super().begin_phase(start)
        space = start.model.space(self.space)
        modalities = () if space is None else space.modalities
        self.memories = nn.ModuleDict(
            {m: Memory(self.memory, self.out_features) for m in modalities}
        )
        like = next(start.model.parameters())
        self.memories.to(like.device, like.dtype)

    def pair_loss(self, pair: Pair) -> Tensor:
        sides = F.normalize(pair.first, dim=1), F.normalize(pair.second, dim=1)
        for modality, z in zip(pair.modalities, sides, strict=True):
            self._fresh[modality] = (z.detach(), pair.keys)
        one, other = pair.modalities
        x, y = sides
        return self._direction(x, y, pair.keys, other) + self._direction(y, x, pair.keys, one)

    def _direction(self, x: Tensor, y: Tensor, keys: Tensor, modality: str) -> Tensor:
        """Return the loss of finding ``y``, of ``modality``, by ``x``."""
        memory = cast(Memory, self.memories[modality])
        itself = torch.eye(len(x), device=x.device).bool()
        left_out = memory.empty() | alike(keys, memory.keys)
        # Copied: `after_step` changes what is remembered, and a graph may outlive the step.
        before = (x @ memory.vectors.to(x).clone().T).masked_fill(left_out, -torch.inf)
        logits = torch.cat([x @ y.T, before], dim=1) / self.temperature
        positive = F.pad(alike(keys, keys) | itself, (0, len(memory.keys)))
        return spread_cross_entropy(logits, positive)

    @torch.no_grad()
    def after_step(self, model: nn.Module, progress: float) -> None:
        """Remember the rows of the step.

        Not earlier: what only looks at the loss must leave nothing behind.
        """
        assert isinstance(model, JointModel)
        for modality, (vectors, keys) in self._fresh.items():
            cast(Memory, self.memories[modality]).add(vectors, keys)
        self._fresh.clear()
