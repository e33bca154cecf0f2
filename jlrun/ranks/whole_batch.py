"""Layers that look at the whole batch, while a rank passes its own rows through them.

BatchNorm normalises by the mean and variance of the rows of all ranks, and dropout draws the masks
of all rows, of which each rank takes its own. A layer that compares rows asks for those of all
ranks by `rows_of_all`.
"""

# N rows of all ranks, n of this one, C channels, W ranks

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from jlrun.ranks.batch_norm import NormalisedTogether, moments_of_all
from jlrun.ranks.world import World

# Masks of single units, and of whole channels.
_DROPOUTS = {F.dropout: False, F.dropout1d: True, F.dropout2d: True, F.dropout3d: True}
# What draws numbers for rows within, if it draws any.
_DRAWING = frozenset(
    {"scaled_dot_product_attention", "multi_head_attention_forward", "gru", "lstm", "rnn_tanh"}
    | {"rnn_relu", "alpha_dropout", "feature_alpha_dropout", "bernoulli", "bernoulli_", "rrelu"}
)


class WholeBatch(TorchFunctionMode):
    """Context of a forward pass of this rank's rows.

    What is drawn for the model or for all rows is the same on all ranks, as in one process. What
    draws numbers for its own rows alone (dropout within attention or between recurrent layers)
    draws other ones on each rank.

    Args:
        world: of more than one rank.
        sizes: rows of all ranks of each stream in the pass, end to end; each rank has its share of
            each.
        device: of the rows.
        present: modality -> Bool ``(N,)``, the rows whose encoder gets them, where not all are.
        normalises_together: whether BatchNorm normalises by the rows of all ranks, and not by those
            of this one.
    """

    active: ClassVar[WholeBatch | None] = None

    def __init__(
        self,
        world: World,
        sizes: Sequence[int],
        device: torch.device,
        present: Mapping[str, Tensor] | None = None,
        normalises_together: bool = True,
    ) -> None:
        super().__init__()
        self.world = world
        self._normalises_together = normalises_together
        self._given = sizes, device, present, normalises_together
        all_rows = _positions(world, sizes, device)
        self.rows = RowPositions(sum(sizes), all_rows)
        self._present = {
            modality: _of_present(mask, all_rows) for modality, mask in (present or {}).items()
        }
        self._defaults = [torch.default_generator]
        if device.type == "cuda":
            index = torch.cuda.current_device() if device.index is None else device.index
            self._defaults.append(torch.cuda.default_generators[index])
        self._own: list[Generator] | None = None

    @contextmanager
    def of_modality(self, modality: str) -> Iterator[None]:
        """Return the context of an encoder, which gets the rows that have its modality."""
        before = self.rows
        self.rows = self._present.get(modality, before)
        try:
            yield
        finally:
            self.rows = before

    @property
    def positions(self) -> Tensor:
        """Int64 ``(n,)``: where this rank's rows are in those of all ranks."""
        return self.rows.positions[self.world.rank]

    def __enter__(self) -> Self:
        WholeBatch.active = self
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        WholeBatch.active = None

    def begin_again(self) -> Callable[[], AbstractContextManager[object]]:
        """Return what makes the context of the same pass from here on, for a part of it that is
        computed once more."""
        own = None if self._own is None else [generator.get_state() for generator in self._own]
        rows = self.rows

        def again() -> WholeBatch:
            same = WholeBatch(self.world, *self._given)
            same.rows = rows
            if own is not None:
                same._own = [Generator(default.device) for default in self._defaults]
                for generator, state in zip(same._own, own, strict=True):
                    generator.set_state(state)
            return same

        return again

    @contextmanager
    def _drawing_for_own_rows(self) -> Iterator[None]:
        """Let the global generators be this rank's."""
        before = [default.get_state() for default in self._defaults]
        if self._own is None:
            self._own = [self._generator(default) for default in self._defaults]
        for default, own in zip(self._defaults, self._own, strict=True):
            default.set_state(own.get_state())
        try:
            yield
        finally:
            for default, own, state in zip(self._defaults, self._own, before, strict=True):
                own.set_state(default.get_state())
                default.set_state(state)

    def _generator(self, default: Generator) -> Generator:
        """Return a generator for this rank, by the state of one that all have alike."""
        alike = Generator(default.device)
        alike.set_state(default.get_state())
        seed = torch.randint(2**62, (), generator=alike, device=default.device)
        return Generator(default.device).manual_seed(int(seed) + 1 + self.world.rank)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func is F.batch_norm:
            return self._batch_norm(*args, **named)
        if func in _DROPOUTS:
            return self._dropout(func, *args, **named)
        if getattr(func, "__name__", "") in _DRAWING:
            with self._drawing_for_own_rows():
                return func(*args, **named)
        return func(*args, **named)

    def _dropout(
        self,
        func: Callable[..., Tensor],
        input: Tensor,  # the names are those of the functions
        p: float = 0.5,
        training: bool = True,
        inplace: bool = False,
    ) -> Tensor:
        own = len(self.positions)
        if not training or p <= 0 or p >= 1:
            return func(input, p, training, inplace)
        if input.ndim < 2 or len(input) % own:  # of something else than rows
            with self._drawing_for_own_rows():
                return func(input, p, training, inplace)
        each = len(input) // own  # tokens of a row, for example
        shape = list(input.shape)
        shape[0] = self.rows.count * each
        if _DROPOUTS[func]:
            shape[2:] = [1] * (input.ndim - 2)
        mask = torch.empty(shape, dtype=input.dtype, device=input.device)
        mask.bernoulli_(1 - p)
        rows = mask.view(self.rows.count, each, *shape[1:])[self.positions].flatten(0, 1)
        return input.mul_(rows / (1 - p)) if inplace else input * (rows / (1 - p))

    def _batch_norm(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        """Normalise by the rows of all ranks; the arguments are those of `F.batch_norm`."""
        if not training:
            return F.batch_norm(
                input, running_mean, running_var, weight, bias, training, momentum, eps
            )
        if not self._normalises_together:
            return F.batch_norm(
                input, running_mean, running_var, weight, bias, training, momentum, eps
            )
        x = input if input.dtype == torch.float64 else input.float()
        mean, var, count = moments_of_all(x.detach(), self.world)
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean.to(running_mean), momentum)
                unbiased = var * (count / (count - 1).clamp(min=1))
                running_var.lerp_(unbiased.to(running_var), momentum)
        found = NormalisedTogether.apply(x, weight, bias, mean, var, count, eps, self.world)
        return found.to(input.dtype)  # pyright: ignore[reportAttributeAccessIssue]


@dataclass(frozen=True)
class RowPositions:
    """Places of the rows of each rank.

    Attributes:
        count: rows of all ranks, N.
        positions: of each rank, int64 ``(n,)``.
    """

    count: int
    positions: tuple[Tensor, ...]


def _positions(world: World, sizes: Sequence[int], device: torch.device) -> tuple[Tensor, ...]:
    """Return the positions of the rows of each rank."""
    found: list[list[Tensor]] = [[] for _ in range(world.size)]
    start = 0
    for size in sizes:
        for rank, pieces in enumerate(found):
            first, stop = world.bounds(size, rank)
            pieces.append(torch.arange(start + first, start + stop, device=device))
        start += size
    return tuple(torch.cat(pieces) for pieces in found)


def _of_present(mask: Tensor, all_rows: Sequence[Tensor]) -> RowPositions:
    """Return the places among the rows that a modality is present in."""
    place = mask.cumsum(dim=0) - 1
    return RowPositions(int(mask.sum()), tuple(place[rows[mask[rows]]] for rows in all_rows))


def rows_with(modality: str) -> AbstractContextManager[None]:
    """Return the context of an encoder that gets only the rows that have its modality."""
    active = WholeBatch.active
    return nullcontext() if active is None else active.of_modality(modality)


def num_rows(x: Tensor) -> int:
    """Return the number of rows of all ranks where ``x`` are those of this one, else of ``x``."""
    active = WholeBatch.active
    return len(x) if active is None else active.rows.count


def rows_of_all(x: Tensor) -> Tensor:
    """Return the rows of all ranks ``(N, …)`` of those of this one ``(n, …)``, without gradients.

    Outside of a pass that is divided they are those of ``x``.
    """
    active = WholeBatch.active
    if active is None:
        return x.detach()
    padded = x.new_zeros(max(map(len, active.rows.positions)), *x.shape[1:])
    padded[: len(x)] = x.detach()
    found = x.new_empty(active.rows.count, *x.shape[1:])
    for place, rows in zip(active.rows.positions, active.world.gather(padded), strict=True):
        found[place] = rows[: len(place)]
    return found


def own_rows(x: Tensor) -> Tensor:
    """Return this rank's rows of those of all ranks ``(N, …)``, or all of ``x``."""
    active = WholeBatch.active
    return x if active is None else x[active.positions.to(x.device)]
