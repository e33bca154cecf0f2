"""Ranks over `torch.distributed`: gloo on the CPU, NCCL on CUDA."""

# W ranks

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from jlrun.errors import RunError
from jlrun.ranks.calls import Calls
from jlrun.ranks.world import Pending, World, checksum

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks(World):
    """The ranks of a process group of PyTorch whose first member is the first of all.

    Attributes:
        group: for tensors on the device; None: the default one.
        control: a gloo group for what is on the CPU whatever the device: objects, requests.
        meanwhile: of the same ranks, for sums that go on while others are called; None: ``group``.
        calls: the collectives that this rank has called.
    """

    group: dist.ProcessGroup | None = field(default=None, repr=False)
    control: dist.ProcessGroup | None = field(default=None, repr=False)
    calls: Calls = field(default_factory=Calls, repr=False, compare=False)
    meanwhile: dist.ProcessGroup | None = field(default=None, repr=False)

    def sum(self, x: Tensor) -> Tensor:
        total = x.detach().clone(memory_format=torch.contiguous_format)
        self._all_reduce(total)
        return total

    def begin_sum(self, x: Tensor) -> Pending:
        with self.calls.begin("all_reduce", x):
            work = dist.all_reduce(x, group=self.meanwhile or self.group, async_op=True)
        assert work is not None

        def wait() -> Tensor:
            with self.calls.call("all_reduce"):
                work.wait()
            return x

        return wait

    @property
    def sends_meanwhile(self) -> bool:
        return self.meanwhile is not None

    def gather(self, x: Tensor) -> tuple[Tensor, ...]:
        x = x.detach().contiguous()
        found = [torch.empty_like(x) for _ in range(self.size)]
        with self.calls.call("all_gather", x):
            dist.all_gather(found, x, group=self.group)
        return tuple(found)

    def gather_rows(self, x: Tensor, count: int) -> Tensor:
        sizes = [stop - start for start, stop in (self.bounds(count, r) for r in range(self.size))]
        assert len(x) == sizes[self.rank], "each rank has its share"
        padded = x.detach()
        if len(x) < sizes[0]:  # collectives are of tensors of one shape
            padded = torch.cat([padded, padded.new_zeros(1, *x.shape[1:])])
        each = zip(self.gather(padded), sizes, strict=True)
        return torch.cat([rows[:size] for rows, size in each])

    def average(self, x: Tensor) -> Tensor:
        return self.sum(x) / self.size

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        kinds: dict[tuple[torch.device, torch.dtype], list[nn.Parameter]] = {}
        for parameter in parameters:
            kinds.setdefault((parameter.device, parameter.dtype), []).append(parameter)
        for same in kinds.values():
            self._average_gradients(same)

    def _average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        known = [0.0 if p.grad is None else 1.0 for p in parameters]
        pieces = [
            torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten()
            for p in parameters
        ]
        total = torch.cat([*pieces, pieces[0].new_tensor(known)])
        self._all_reduce(total)
        total, found = total.split([len(total) - len(known), len(known)])
        total /= self.size
        # A gradient that no rank has stays absent, for optimizers with momentum or decay.
        absent = [not n for n in found.tolist()] if not all(known) else [False] * len(known)
        for parameter, none, piece in zip(
            parameters, absent, total.split([len(p) for p in pieces]), strict=True
        ):
            if none:
                continue
            # Into the gradient that is there: its memory format is that of the parameter.
            grad = torch.empty_like(parameter) if parameter.grad is None else parameter.grad
            parameter.grad = grad.copy_(piece.view(parameter.shape))

    def all_objects(self, x: T) -> list[T]:
        found: list[Any] = [None] * self.size
        with self.calls.call("all_gather_object"):
            dist.all_gather_object(found, x, group=self.control)
        return cast("list[T]", found)

    def of_first(self, find: Callable[[], T]) -> T:
        outcome: list[Any] = [None, None]
        if self.is_first:
            try:
                found = find()
            except Exception as error:
                outcome[1] = sendable(error)
                self._broadcast(outcome)
                raise
            outcome[0] = found
            self._broadcast(outcome)
            return found
        self._broadcast(outcome)
        if outcome[1] is not None:
            raise outcome[1]
        return outcome[0]

    def _broadcast(self, outcome: list[Any]) -> None:
        with self.calls.call("broadcast", timed=False):
            dist.broadcast_object_list(outcome, src=0, group=self.control)

    def _all_reduce(self, x: Tensor) -> None:
        with self.calls.call("all_reduce", x):
            dist.all_reduce(x, group=self.group)

    def one_before_the_others(self, do: Callable[[], T]) -> T:
        result, done = None, False
        for turn in (True, False):
            error = None
            if (self.local_rank == 0) is turn:
                try:
                    result, done = do(), True
                except Exception as raised:
                    error = raised
            sent = None if error is None else sendable(error)
            with self.calls.call("all_gather_object", timed=False):
                each: list[Any] = [None] * self.size
                dist.all_gather_object(each, sent, group=self.control)
            errors = [e for e in each if e is not None]
            if errors:
                raise error or errors[0]
        assert done
        return cast(T, result)

    def agreed(self, asked: Callable[[], bool]) -> Callable[[], bool]:
        return _Agreement(asked, self.control, self.calls)

    def barrier(self) -> None:
        with self.calls.call("barrier", timed=False):
            dist.barrier(group=self.control)

    def differing(self, tensors: Sequence[Tensor]) -> list[int]:
        first, *others = self.all_objects(checksum(tensors))
        return [r for r, own in enumerate(others, 1) if not torch.equal(own, first)]


def sendable(error: Exception) -> Exception:
    """Return an exception as other ranks can have it."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RunError(f"{type(error).__name__}: {error}")
    return error


class _Agreement:
    """Request of any rank, known to all one call later: nobody waits for it."""

    def __init__(
        self, asked: Callable[[], bool], group: dist.ProcessGroup | None, calls: Calls
    ) -> None:
        self._asked = asked
        self._group = group
        self._calls = calls
        self._sent: tuple[Tensor, Any] | None = None
        self._agreed = False

    def __call__(self) -> bool:
        if self._agreed:
            return True
        if self._sent is not None:
            flag, work = self._sent
            with self._calls.call("all_reduce"):
                work.wait()
            self._agreed = bool(flag.item())
        if not self._agreed:
            flag = torch.tensor([float(self._asked())])
            self._sent = flag, dist.all_reduce(flag, group=self._group, async_op=True)
        return self._agreed
