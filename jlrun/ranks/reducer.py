"""Reducer of gradients: averages over the ranks in buckets, while the backward pass goes on.

As DistributedDataParallel of PyTorch does (Li et al., "PyTorch Distributed", VLDB 2020, section
3.2), but for whoever fills ``.grad``, in as many passes as it takes: only the last one is followed.
"""

# P parameters, W ranks

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from jlrun.ranks.world import Pending, World

# The parameters are divided in about so many buckets, of at least and at most so many bytes.
BUCKETS, SMALLEST, LARGEST = 4, 2**16, 25 * 2**20


class GradientReducer:
    """Averages ``.grad`` of parameters over the ranks; a gradient that no rank has stays None.

    Args:
        world: of several ranks.
        parameters: in about the order in which a forward pass comes to them.
        follows: whether buckets may be sent during a backward pass.
    """

    def __init__(self, world: World, parameters: Sequence[nn.Parameter], follows: bool) -> None:
        self._world = world
        self._parameters = tuple(parameters)
        self._follows = follows
        self._awaited: set[int] = set()  # of a bucket that is not sent, while a pass is followed
        self._left: list[int] = []  # bucket -> number of its parameters that are awaited
        self._sent: list[Pending] = []
        self._following = False

    @contextmanager
    def following(self, others: Collection[nn.Parameter] = ()) -> Iterator[None]:
        """Send each bucket as soon as a backward pass within the block has completed it.

        Args:
            others: parameters whose gradients are complete already.
        """
        if not self._follows:
            yield
            return
        known = set(map(id, others))
        self._left = [0] * len(self._buckets)
        self._awaited = set()
        for number, bucket in enumerate(self._buckets):
            awaited = [id(p) for p in bucket.parameters if id(p) not in known]
            self._awaited.update(awaited)
            self._left[number] = len(awaited)
        self._following = True
        self._send_complete()
        try:
            yield
        finally:
            self._following = False

    def finish(self) -> None:
        """Send what is left, wait for all ranks, and write the averages into ``.grad``."""
        for bucket in self._buckets[len(self._sent) :]:
            self._sent.append(bucket.send(self._world))
        sent, self._sent = self._sent, []
        for bucket, pending in zip(self._buckets, sent, strict=True):
            pending()
            bucket.write(self._world.size)

    def _arrived(self, parameter: Tensor, number: int) -> None:
        if not self._following:
            return
        if id(parameter) in self._awaited:
            self._awaited.remove(id(parameter))
            self._left[number] -= 1
            self._send_complete()
            return
        assert number >= len(self._sent), "a gradient has changed after it was sent"

    def _send_complete(self) -> None:
        # In this order on all ranks, whichever is complete first.
        while len(self._sent) < len(self._buckets) and not self._left[len(self._sent)]:
            self._sent.append(self._buckets[len(self._sent)].send(self._world))

    @cached_property
    def _buckets(self) -> list[_Bucket]:
        kinds: dict[tuple[torch.device, torch.dtype], list[nn.Parameter]] = {}
        for parameter in reversed(self._parameters):  # the way a backward pass comes
            kinds.setdefault((parameter.device, parameter.dtype), []).append(parameter)
        found = [_Bucket(each) for same in kinds.values() for each in _divided(same)]
        if self._follows:
            arrived = _weakly(self)
            for number, bucket in enumerate(found):
                for parameter in bucket.parameters:
                    parameter.register_post_accumulate_grad_hook(
                        lambda p, number=number: arrived(p, number)
                    )
        return found


class _Bucket:
    """Gradients that travel together, in memory that is used in every step.

    After them come as many numbers: of the ranks that have each of them.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = tuple(parameters)
        sizes = [p.numel() for p in parameters]
        self._all = parameters[0].detach().new_empty(sum(sizes) + len(sizes))
        *pieces, self._known = self._all.split([*sizes, len(sizes)])
        # Each in the memory format of its parameter, by which fused optimizers read it.
        self._slots = [
            piece.as_strided(p.shape, torch.empty_like(p).stride())
            for p, piece in zip(parameters, pieces, strict=True)
        ]
        self._has_all = True

    def send(self, world: World) -> Pending:
        """Begin to sum the gradients over the ranks."""
        with torch.no_grad():
            self._known.fill_(1)
            slots, gradients = [], []
            for i, (slot, parameter) in enumerate(zip(self._slots, self.parameters, strict=True)):
                if parameter.grad is None:
                    slot.zero_()
                    self._known[i] = 0
                else:
                    slots.append(slot)
                    gradients.append(parameter.grad)
            self._has_all = len(slots) == len(self._slots)
            if slots:
                torch._foreach_copy_(slots, gradients)  # pyright: ignore[reportPrivateImportUsage]
            return world.begin_sum(self._all)

    def write(self, size: int) -> None:
        """Let ``.grad`` be the averages, once they are there."""
        known = None if self._has_all else self._known.tolist()
        self._all.div_(size)
        for i, (slot, parameter) in enumerate(zip(self._slots, self.parameters, strict=True)):
            if known is None or known[i]:
                parameter.grad = slot


def _divided(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Yield parameters in groups of about the same size."""
    total = sum(p.nbytes for p in parameters)
    most = min(max(total // BUCKETS, SMALLEST), LARGEST)
    found: list[nn.Parameter] = []
    size = 0
    for parameter in parameters:
        found.append(parameter)
        size += parameter.nbytes
        if size >= most:
            yield found
            found, size = [], 0
    if found:
        yield found


def _weakly(reducer: GradientReducer) -> Callable[[Any, int], None]:
    """Return what calls a reducer as long as there is one: parameters live longer than a phase."""
    known = weakref.ref(reducer)

    def arrived(parameter: Tensor, number: int) -> None:
        found = known()
        if found is not None:
            found._arrived(parameter, number)

    return arrived
