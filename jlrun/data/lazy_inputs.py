"""Lazy inputs: the rows of a batch that somebody asks for, made when they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

# first row, the one after the last -> modality -> the rows between them
MakeRows = Callable[[int, int], Mapping[str, Tensor]]


class LazyInputs(Mapping[str, Tensor]):
    """Inputs of a batch, made as a whole when one is read; a part of the rows by itself.

    A process that trains with others passes a share of each batch through its model, and rarely
    needs the inputs of the rest.

    Args:
        names: of the modalities.
        count: rows, B.
        make: makes some of them; what is random in it is the same in each call.
        device: of the rows.
    """

    def __init__(
        self, names: Sequence[str], count: int, make: MakeRows, device: torch.device
    ) -> None:
        self._names = tuple(names)
        self.count = count
        self._make = make
        self._device = device
        self._made: Mapping[str, Tensor] | None = None

    def part(self, start: int, stop: int) -> Mapping[str, Tensor]:
        """Return the rows from ``start`` to ``stop - 1``."""
        if self._made is not None:
            return {name: x[start:stop] for name, x in self._made.items()}

        def make(first: int, last: int) -> Mapping[str, Tensor]:
            return self._make(start + first, start + last)

        # As a slice does, past the end there are no rows.
        count = max(0, min(stop, self.count) - start)
        return LazyInputs(self._names, count, make, self._device)

    def __getitem__(self, name: str) -> Tensor:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    @property
    def _all(self) -> Mapping[str, Tensor]:
        if self._made is None:
            # Whoever asks first may be within a forward pass, which would round or record it.
            plain = torch.autocast(self._device.type, enabled=False)
            with torch._C.DisableTorchFunction(), torch.no_grad(), plain:
                self._made = self._make(0, self.count)
        return self._made
