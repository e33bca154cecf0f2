"""World of a run: the ranks that train it, and the collectives over them."""

# W ranks

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

T = TypeVar("T")
Pending = Callable[[], Tensor]  # waits for what was begun, and returns it


@dataclass(frozen=True)
class World:
    """One process by itself: what it exchanges with others, it has. `Ranks` are several.

    Collectives wait for all ranks: every rank must call the same ones, in the same order.

    Attributes:
        rank: of this process, from 0.
        size: W, the number of ranks.
        local_rank: of this process on its machine, from 0.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def several(self) -> bool:
        """Whether there are other ranks."""
        return self.size > 1

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which alone writes and prints."""
        return self.rank == 0

    def bounds(self, count: int, rank: int | None = None) -> tuple[int, int]:
        """Return the first of ``count`` rows that a rank has, and the one after its last.

        Ranks have as many rows, or one more.
        """
        rank = self.rank if rank is None else rank
        each, more = divmod(count, self.size)
        start = rank * each + min(rank, more)
        return start, start + each + (rank < more)

    def sum(self, x: Tensor) -> Tensor:
        """Return the sum over the ranks of tensors of one shape; without gradients."""
        return x

    def begin_sum(self, x: Tensor) -> Pending:
        """Begin to replace ``x`` by the sum over the ranks; nobody may change it meanwhile.

        Ranks begin such sums in the same order, whatever other collectives they call in between.
        """
        return lambda: x

    @property
    def sends_meanwhile(self) -> bool:
        """Whether sums that were begun don't meet with other collectives."""
        return False

    def gather(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return each rank's tensor, of one shape; without gradients."""
        return (x,)

    def gather_rows(self, x: Tensor, count: int) -> Tensor:
        """Return ``(count, …)``: the rows of all ranks, each with its share (`bounds`)."""
        return x

    def average(self, x: Tensor) -> Tensor:
        """Return the mean over the ranks."""
        return x

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace ``.grad`` of the parameters by the mean over the ranks; None counts as 0."""

    def all_objects(self, x: T) -> list[T]:
        """Return each rank's object, which must be picklable."""
        return [x]

    def of_first(self, find: Callable[[], T]) -> T:
        """Return what ``find`` returns on rank 0, or raise the exception that it raises there."""
        return find()

    def one_before_the_others(self, do: Callable[[], T]) -> T:
        """Do something on one rank of each machine, then on the others; return its result.

        What the first keeps on disk, the others find there. An exception of a rank is raised on
        all.
        """
        return do()

    def agreed(self, asked: Callable[[], bool]) -> Callable[[], bool]:
        """Return whether any rank was asked, the same on all ranks; maybe one call later."""
        return asked

    def barrier(self) -> None:
        """Wait for all ranks."""

    def differing(self, tensors: Sequence[Tensor]) -> list[int]:
        """Return the ranks whose tensors are not those of rank 0, bit for bit."""
        return []


ALONE = World()


def checksum(tensors: Sequence[Tensor]) -> Tensor:
    """Return int64 ``(N,)``, one number for each tensor, which differs if any of its bits does."""
    return torch.stack([_sum_of_bits(x.detach()) for x in tensors]).cpu()


def _sum_of_bits(x: Tensor) -> Tensor:
    kinds = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    x = torch.view_as_real(x) if x.is_complex() else x
    bits = x.contiguous().view(kinds[x.element_size()]).flatten().to(torch.int64)
    # Places count: two weights that have changed places are another model.
    places = torch.arange(1, len(bits) + 1, device=x.device) * 0x9E3779B1
    return (bits * places).sum()  # modulo 2⁶⁴
