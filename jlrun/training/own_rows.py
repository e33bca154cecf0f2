"""Own rows: what a rank passes through the model, and what all ranks make of it."""

# W ranks

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.models.joint_model import Outputs
from jlrun.ranks.exchange import gathered, summed
from jlrun.ranks.whole_batch import WholeBatch
from jlrun.ranks.world import ALONE, World


@dataclass(frozen=True)
class OwnRows:
    """Rows of a micro-batch that this rank passes through the model.

    Where there are too few rows for all ranks, every rank passes all of them, and there is nothing
    to exchange.

    Attributes:
        batches: stream -> the rank's rows.
        sizes: stream -> number of rows of all ranks.
        world: the ranks that the rows are divided among; `ALONE` where they are not.
        device: of the rows.
    """

    batches: Mapping[str, Batch]
    sizes: Mapping[str, int]
    world: World
    device: torch.device

    @classmethod
    def of(
        cls,
        batches: Mapping[str, Batch],
        world: World,
        device: torch.device,
        normalised: bool = False,
        sharded: bool = False,
    ) -> OwnRows:
        """Return this rank's rows of a micro-batch.

        Args:
            batches: stream -> rows of all ranks.
            world: the ranks.
            device: of the rows.
            normalised: whether layers normalise by the rows that reach them: on every rank there
                must then be two of them, since an encoder has no variance of a lone one.
            sharded: whether every rank must pass rows through the same encoders as all others.
        """
        if not world.several:
            return cls(batches, {}, ALONE, device)
        sizes = {name: batch.size for name, batch in batches.items()}
        fewest, of_each = 2 if normalised else 1, normalised or sharded
        if not all(_enough(batch, world, fewest, of_each) for batch in batches.values()):
            return cls(batches, sizes, ALONE, device)
        own = {name: batch.part(*world.bounds(batch.size)) for name, batch in batches.items()}
        return cls(own, sizes, world, device)

    @property
    def divided(self) -> bool:
        """Whether other ranks have other rows."""
        return self.world.several

    def forward_pass(self, streams: Sequence[str]) -> AbstractContextManager[object]:
        """Return the context of a forward pass over the rows of these streams, end to end."""
        if not self.divided:
            return nullcontext()
        complete = not any(self.batches[name].present for name in streams)
        sizes = [self.sizes[name] for name in streams]
        return WholeBatch(self.world, sizes, self.device, complete)

    def summed(self, scalars: Sequence[Tensor]) -> list[Tensor]:
        """Return the sums over all ranks."""
        return summed(scalars, self.world)

    def share(self) -> float:
        """Return the rank's share of the rows of all ranks."""
        if not self.divided:
            return 1.0
        return sum(batch.size for batch in self.batches.values()) / sum(self.sizes.values())

    def outputs_of_all(self, outputs: Mapping[str, Outputs]) -> Mapping[str, Outputs]:
        """Return stream -> outputs of the rows of all ranks."""
        if not self.divided:
            return outputs
        return {name: self._gathered(found, self.sizes[name]) for name, found in outputs.items()}

    def gradients_of_all(self, gradients: Tensor, count: int) -> Tensor:
        """Return ``(T, N)`` of ``count`` rows of all ranks, from those of the rank's own ones."""
        if not self.divided:
            return gradients
        start, stop = self.world.bounds(count)
        rows = gradients.view(len(gradients), stop - start, -1).transpose(0, 1)
        # The loss is that of all ranks, whose gradients are averaged in the end.
        found = self.world.gather_rows(rows / self.world.size, count)
        return found.transpose(0, 1).reshape(len(gradients), -1)

    def own_gradient(self, gradient: Tensor, count: int) -> Tensor:
        """Return the part ``(n,)`` of an update ``(N,)`` of ``count`` rows, as it is averaged."""
        if not self.divided:
            return gradient
        start, stop = self.world.bounds(count)
        return gradient.view(count, -1)[start:stop].flatten() * self.world.size

    def _gathered(self, outputs: Outputs, count: int) -> Outputs:
        def all_rows(columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: gathered(x, count, self.world) for name, x in columns.items()}

        return Outputs(
            all_rows(outputs.features),
            gathered(outputs.fused, count, self.world),
            all_rows(outputs.logits),
            all_rows(outputs.members),
        )


def _enough(batch: Batch, world: World, fewest: int, of_each_modality: bool) -> bool:
    """Return whether every rank has so many rows, also of each modality that any row has."""
    if batch.size < fewest * world.size:
        return False
    if not of_each_modality:
        return True
    bounds = [world.bounds(batch.size, rank) for rank in range(world.size)]
    counts = [[m[a:b].sum() for a, b in bounds] for m in batch.present.values()]
    if not counts:
        return True
    found = torch.stack([torch.stack(each) for each in counts]).tolist()
    return all(min(each) >= fewest or not any(each) for each in found)
