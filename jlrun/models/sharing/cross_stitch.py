"""Cross-stitch networks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.models.sharing.base import MakeTrunk, TrunkSharing
from jlrun.models.trunk import Encoded, Trunk
from jlrun.ranges import Probability


class CrossStitch(TrunkSharing):
    """Trunk for each task; after every stage each reads a learned mixture of all.

    Misra et al., "Cross-stitch Networks for Multi-task Learning", CVPR 2016, eq. (1), for any
    number of tasks. Stages are those of the encoders; fusions are the tasks' own.

    Args:
        make_trunk: returns a trunk.
        tasks: their names.
        units: one coefficient for each pair of tasks and ``channel``, or ``layer``.
        own: a task's share of its own activations at the start; the others have equal shares of
            the rest.
    """

    between_stages = True

    def __init__(
        self,
        make_trunk: MakeTrunk,
        tasks: tuple[str, ...],
        units: Literal["channel", "layer"] = "channel",
        own: Probability = 0.9,
    ) -> None:
        super().__init__({task: make_trunk() for task in tasks}, tasks)
        trunk = self.any_trunk
        self.stitches = nn.ModuleDict()
        for modality in trunk.encoders:
            widths = [
                stage.channels if units == "channel" else 1 for stage in trunk.stages(modality)
            ]
            self.stitches[modality] = nn.ModuleList(Stitch(len(tasks), w, own) for w in widths)

    def encode(self, batch: Batch, tasks: Collection[str]) -> Mapping[str, Encoded]:
        encoded = self.any_trunk.of_each_modality(batch, self._stitched)
        numbers = {task: number for number, task in enumerate(self.tasks)}
        return {
            task: self._trunk(task).join({m: x[numbers[task]] for m, x in encoded.items()}, batch)
            for task in tasks
        }

    def shared_parameters(self) -> Iterable[nn.Parameter]:
        for task in self.tasks:
            yield from self._trunk(task).encoders.parameters()
        yield from self.stitches.parameters()

    def _trunk(self, task: str) -> Trunk:
        return cast(Trunk, self.trunks[task])

    def _stitched(self, modality: str, x: Tensor) -> Sequence[Tensor]:
        """Return the features ``(B_m, D_m)`` of each task, of the rows that have the modality."""
        of_tasks = [self._trunk(task).stages(modality) for task in self.tasks]
        streams: Sequence[Tensor] = [x] * len(self.tasks)
        stitches = cast(nn.ModuleList, self.stitches[modality])
        for stitch, stages in zip(stitches, zip(*of_tasks, strict=True), strict=True):
            outputs = [stage.run(y) for stage, y in zip(stages, streams, strict=True)]
            streams = stitch(torch.stack(outputs)).unbind()
        return streams


class Stitch(nn.Module):
    """Mixes the activations of T tasks: y_s = Σ_t a_st x_t.

    Args:
        num_tasks: T.
        channels: that have their own coefficients; 1: all have the same.
        own: a_ss at the start.
    """

    def __init__(self, num_tasks: int, channels: int, own: float) -> None:
        super().__init__()
        others = (1 - own) / max(1, num_tasks - 1)
        shares = torch.full((num_tasks, num_tasks), others).fill_diagonal_(own)
        if num_tasks == 1:
            shares.fill_(1.0)
        self.shares = nn.Parameter(shares[:, :, None].repeat(1, 1, channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(T, B, C, ...)`` of ``(T, B, C, ...)``."""
        shares = self.shares.to(x.dtype)
        if self.shares.shape[2] == 1:
            return torch.einsum("st,t...->s...", shares[:, :, 0], x)
        return torch.einsum("stc,tbc...->sbc...", shares, x)
