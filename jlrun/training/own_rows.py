"""Own rows: what a rank passes through the model, and what all ranks make of it."""

# W ranks

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.models.dividing import dividing
from jlrun.models.joint_model import Outputs
from jlrun.models.module_state import batch_norms
from jlrun.ranks.exchange import gathered, summed, summed_meanwhile
from jlrun.ranks.whole_batch import WholeBatch
from jlrun.ranks.world import ALONE, Pending, World

Found = TypeVar("Found")  # outputs, modality -> features, or a tensor


@dataclass(frozen=True)
class OwnRows:
    """Rows of a micro-batch that this rank passes through the model.

    Where there are too few rows for all ranks, every rank passes all of them, and there is nothing
    to exchange.

    Attributes:
        batches: stream -> the rank's rows.
        of_all: stream -> the rows of all ranks.
        world: the ranks that the rows are divided among; `ALONE` where they are not.
        device: of the rows.
        together: whether layers normalise by the rows of all ranks.
    """

    batches: Mapping[str, Batch]
    of_all: Mapping[str, Batch]
    world: World
    device: torch.device
    together: bool = True

    @classmethod
    def of(
        cls,
        batches: Mapping[str, Batch],
        world: World,
        device: torch.device,
        normalised: bool = False,
        together: bool = True,
    ) -> OwnRows:
        """Return this rank's rows of a micro-batch.

        Args:
            batches: stream -> rows of all ranks.
            world: the ranks.
            device: of the rows.
            normalised: whether layers normalise by the rows that reach them: on every rank there
                must then be two of them, since an encoder has no variance of a lone one.
            together: whether they normalise by the rows of all ranks.
        """
        fewest = 2 if normalised else 1
        if not world.several or not all(_enough(b, world, fewest) for b in batches.values()):
            return cls(batches, batches, ALONE, device)
        own = {name: batch.part(*world.bounds(batch.size)) for name, batch in batches.items()}
        return cls(own, batches, world, device, together)

    @property
    def divided(self) -> bool:
        """Whether other ranks have other rows."""
        return self.world.several

    def forward_pass(self, streams: Sequence[str]) -> AbstractContextManager[object]:
        """Return the context of a forward pass over the rows of these streams, end to end."""
        if not self.divided:
            return nullcontext()
        batches = [self.of_all[name] for name in streams]
        names = dict.fromkeys(name for batch in batches for name in batch.present)
        present = {
            name: torch.cat([b.present.get(name, _everywhere(b, self.device)) for b in batches])
            for name in names
        }
        sizes = [batch.size for batch in batches]
        return WholeBatch(self.world, sizes, self.device, present, self.together)

    def summed(self, scalars: Sequence[Tensor]) -> list[Tensor]:
        """Return the sums over all ranks."""
        return summed(scalars, self.world)

    def summed_meanwhile(self, scalars: Sequence[Tensor]) -> tuple[list[Tensor], Pending]:
        """Return the rank's parts of the sums, and what waits for the sums over all ranks."""
        return summed_meanwhile(scalars, self.world)

    def share(self) -> float:
        """Return the rank's share of the rows of all ranks."""
        if not self.divided:
            return 1.0
        return sum(batch.size for batch in self.batches.values()) / sum(
            batch.size for batch in self.of_all.values()
        )

    def of_all_ranks(self, found: Found, count: int | None = None) -> Found:
        """Return outputs, features or logits of the rows of all ranks.

        Args:
            found: of the rank's rows.
            count: number of rows of all ranks; None: of all streams.
        """
        if not self.divided:
            return found
        total = sum(b.size for b in self.of_all.values()) if count is None else count
        return cast(Found, self._gathered(found, total))

    def outputs_of_all(self, outputs: Mapping[str, Outputs]) -> Mapping[str, Outputs]:
        """Return stream -> outputs of the rows of all ranks."""
        return {name: self.of_all_ranks(x, self.of_all[name].size) for name, x in outputs.items()}

    def gradients_of_all(self, gradients: Tensor, count: int) -> Tensor:
        """Return ``(T, N)`` of ``count`` rows of all ranks, from those of the rank's own ones."""
        if not self.divided:
            return gradients
        start, stop = self.world.bounds(count)
        rows = gradients.view(len(gradients), stop - start, -1).transpose(0, 1)
        # The loss is that of all ranks, whose gradients are averaged in the end.
        found = self.world.gather_rows(rows / self.world.size, count)
        return found.transpose(0, 1).reshape(len(gradients), -1)

    def scaled(self, gradient: Tensor) -> Tensor:
        """Return an update of the rank's rows as it is averaged."""
        return gradient * self.world.size if self.divided else gradient

    def own_gradient(self, gradient: Tensor, count: int) -> Tensor:
        """Return the part ``(n,)`` of an update ``(N,)`` of ``count`` rows, as it is averaged."""
        if not self.divided:
            return gradient
        start, stop = self.world.bounds(count)
        return self.scaled(gradient.view(count, -1)[start:stop].flatten())

    def _gathered(self, found: Any, count: int) -> Any:
        if isinstance(found, Tensor):
            with torch.enable_grad():  # whoever asks first: others may go back from it
                return gathered(found, count, self.world)
        if isinstance(found, Mapping):
            return _WhenAsked(found, lambda x: self._gathered(x, count))
        return _OutputsOfAll(found, lambda x: self._gathered(x, count))


class _WhenAsked(Mapping[str, Tensor]):
    """Columns that are gathered when they are asked for, by all ranks, and kept.

    Args:
        own: columns of the rank's rows.
        gather: own column -> that of all ranks.
    """

    def __init__(self, own: Mapping[str, Tensor], gather: Callable[[Tensor], Tensor]) -> None:
        self._own = own
        self._gather = gather
        self._found: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._found:
            self._found[name] = self._gather(self._own[name])
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)

    def __contains__(self, name: object) -> bool:
        return name in self._own


class _OutputsOfAll:
    """`Outputs` of which each is gathered when it is asked for."""

    def __init__(self, own: Outputs, gather: Callable[[Any], Any]) -> None:
        self._own = own
        self._gather = gather

    @cached_property
    def fused(self) -> Tensor:
        return self._gather(self._own.fused)

    @cached_property
    def features(self) -> Mapping[str, Tensor]:
        return self._gather(self._own.features)

    @cached_property
    def logits(self) -> Mapping[str, Tensor]:
        return self._gather(self._own.logits)

    @cached_property
    def members(self) -> Mapping[str, Tensor]:
        return self._gather(self._own.members)


@dataclass(frozen=True)
class DividedCalls:
    """Division of the rows on which terms and balances call models (`jlrun.models.dividing`).

    Attributes:
        world: the ranks.
        device: of the rows.
        together: whether layers normalise by the rows of all ranks.
    """

    world: World
    device: torch.device
    together: bool = True

    def __call__(self, model: nn.Module, batch: Batch, compute: Callable[[Batch], Found]) -> Found:
        normalised = model.training and bool(batch_norms(model))
        own = OwnRows.of({"": batch}, self.world, self.device, normalised, self.together)
        with dividing(None), own.forward_pass(("",)):
            found = compute(own.batches[""])
        return own.of_all_ranks(found)


def _everywhere(batch: Batch, device: torch.device) -> Tensor:
    return torch.ones(batch.size, dtype=torch.bool, device=device)


def _enough(batch: Batch, world: World, fewest: int) -> bool:
    """Return whether every rank has so many rows, also of each modality that any row has."""
    if batch.size < fewest * world.size:
        return False
    if not batch.present:
        return True
    bounds = [world.bounds(batch.size, rank) for rank in range(world.size)]
    counts = [torch.stack([mask[a:b].sum() for a, b in bounds]) for mask in batch.present.values()]
    found = torch.stack(counts).tolist()
    return all(min(each) >= fewest or not any(each) for each in found)
