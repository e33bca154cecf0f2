"""Multi-task attention network."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.models.module_state import running_statistics
from jlrun.models.sharing.base import MakeTrunk, TrunkSharing
from jlrun.models.trunk import Encoded
from jlrun.ranges import PositiveInt


class MTAN(TrunkSharing):
    """One trunk, and attention of each task to the output of every stage.

    Liu et al., "End-to-End Multi-Task Learning with Attention", CVPR 2019, eqs. (1) and (2): a mask
    in [0, 1] from the stage's output and the features that the task attended to below. The attended
    features of the last stage go through the trunk's fusion to the task's head. Differs from it in:
    a mask reads the stage's output in the place of an activation within it, and features from below
    pass a 1×1 convolution in the place of a 3×3 one and an average to the size of the stage in the
    place of a maximum. So the same module serves maps and vectors, whose convolution is a linear
    layer.

    Args:
        make_trunk: returns the trunk.
        tasks: their names.
        reduction: the hidden channels of a mask are those of the stage divided by this.
    """

    between_stages = True

    def __init__(
        self, make_trunk: MakeTrunk, tasks: tuple[str, ...], reduction: PositiveInt = 4
    ) -> None:
        super().__init__({"shared": make_trunk()}, tasks)
        trunk = self.any_trunk
        widths = {m: [0, *(s.channels for s in trunk.stages(m))] for m in trunk.encoders}
        self.attention = nn.ModuleDict()
        for task in tasks:
            by_modality = nn.ModuleDict()
            for modality, channels in widths.items():
                pairs = pairwise(channels)
                by_modality[modality] = nn.ModuleList(StageAttention(*p, reduction) for p in pairs)
            self.attention[task] = by_modality

    def encode(self, batch: Batch, tasks: Collection[str]) -> Mapping[str, Encoded]:
        trunk = self.any_trunk
        encoded = trunk.of_each_modality(batch, lambda m, x: self._attended(m, x, tasks))
        return {
            task: trunk.join({m: by_task[task] for m, by_task in encoded.items()}, batch)
            for task in tasks
        }

    def shared_parameters(self) -> Iterable[nn.Parameter]:
        return self.any_trunk.parameters()

    def _attended(self, modality: str, x: Tensor, tasks: Collection[str]) -> Mapping[str, Tensor]:
        """Return the features ``(B_m, D_m)`` of each task, of the rows that have the modality."""
        below: dict[str, Tensor | None] = dict.fromkeys(tasks)
        for number, stage in enumerate(self.any_trunk.stages(modality)):
            x = stage.run(x)
            for task, attended in below.items():
                attention = cast(nn.ModuleDict, self.attention[task])[modality]
                below[task] = cast(nn.ModuleList, attention)[number](x, attended)
        return cast(dict[str, Tensor], below)


class StageAttention(nn.Module):
    """Attended features of a stage: p ⊙ σ(h(g([p | f(below)]))).

    Args:
        below: channels of the attended features of the stage below; 0: it is the first.
        channels: of the stage's output.
        reduction: hidden channels are ``channels`` divided by this.
    """

    def __init__(self, below: int, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.transition = _layer(below, channels, nn.ReLU()) if below else None
        reads = 2 * channels if below else channels
        self.mask = nn.Sequential(
            _layer(reads, hidden, nn.ReLU()), _layer(hidden, channels, nn.Sigmoid())
        )

    def forward(self, p: Tensor, below: Tensor | None) -> Tensor:
        """Return ``(B, C, ...)`` of the stage's output ``p`` and the features from below."""
        if self.training and p[:, 0].numel() == 1:
            # No values to take statistics of.
            with running_statistics(self):
                return self._attend(p, below)
        return self._attend(p, below)

    def _attend(self, p: Tensor, below: Tensor | None) -> Tensor:
        read = _positions(p)
        if self.transition is not None:
            assert below is not None
            carried = self.transition(_positions(resized(below, p.shape[2:])))
            read = torch.cat([read, carried], dim=1)
        mask = self.mask(read).view(p.shape[0], -1, p.shape[1])
        return p * mask.movedim(2, 1).reshape(p.shape)


def resized(x: Tensor, size: torch.Size) -> Tensor:
    """Return ``(B, C, N)``: ``x (B, C, ...)`` averaged to positions ``size`` (N in all)."""
    if x.shape[2:] == size:
        return x.reshape(*x.shape[:2], -1)
    if x.ndim == 4 and len(size) == 2:
        # As adaptive_avg_pool2d, but with a deterministic gradient on CUDA.
        rows, columns = (_averages(n, m, x) for n, m in zip(x.shape[2:], size, strict=True))
        return torch.einsum("ih,bchw,jw->bcij", rows, x, columns).flatten(2)
    mean = x.flatten(2).mean(dim=2, keepdim=True) if x.ndim > 2 else x[:, :, None]
    return mean.expand(-1, -1, size.numel())


def _averages(before: int, after: int, like: Tensor) -> Tensor:
    """Return the matrix ``(after, before)`` of an average over nearly equal bins."""
    bins = torch.arange(after, device=like.device)[:, None]
    places = torch.arange(before, device=like.device)
    start, stop = bins * before // after, -(-(bins + 1) * before // after)
    inside = ((places >= start) & (places < stop)).to(like.dtype)
    return inside / inside.sum(dim=1, keepdim=True)


def _positions(x: Tensor) -> Tensor:
    """Return ``(B·N, C)`` of ``(B, C, ...)``: a linear layer on it is a 1×1 convolution."""
    return x.reshape(*x.shape[:2], -1).movedim(1, 2).reshape(-1, x.shape[1])


def _layer(before: int, after: int, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(before, after), nn.BatchNorm1d(after), activation)
