"""Sampling of data sets: the streams that each training step takes a batch from."""

# K streams, n_k batches in a pass over stream k, c_k batches of it in an epoch

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Generator

from jlrun.data.batch import Batch
from jlrun.data.streams import Stream
from jlrun.ranges import PositiveFloat
from jlrun.seeding import derive_seed

Turn = tuple[int, ...]


class Sampling(ABC):
    """Sampling of streams: the number of batches of each in an epoch, and their order.

    Both are functions of n and the epoch alone: any step can be repeated without those before it.
    Numbers of batches are fixed; only their order is random.
    """

    @abstractmethod
    def counts(self, lengths: Sequence[int]) -> Turn:
        """Return c ``(K,)`` for n ``(K,)``; a stream that ends before the epoch starts again."""

    def turns(self, counts: Sequence[int], generator: Generator) -> list[Turn]:
        """Return for each step of an epoch the positions of the streams it takes a batch from.

        Here one stream in each step, in random order: Σ_k c_k steps.
        """
        streams = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        order = torch.randperm(len(streams), generator=generator)
        return [(k,) for k in streams[order].tolist()]

    def num_steps(self, counts: Sequence[int]) -> int:
        """Return the number of steps of an epoch: the length of `turns`."""
        return sum(counts)


class All(Sampling):
    """Every step takes a batch from each stream; an epoch is a pass over the longest: max n steps.

    The only sampling under which all tasks meet in each step, as methods that compare their losses
    or gradients need.
    """

    def counts(self, lengths: Sequence[int]) -> Turn:
        return (max(lengths),) * len(lengths)

    def turns(self, counts: Sequence[int], generator: Generator) -> list[Turn]:
        return [tuple(range(len(counts)))] * counts[0]

    def num_steps(self, counts: Sequence[int]) -> int:
        return counts[0]


class RoundRobin(Sampling):
    """The streams take turns, one in each step; a pass over the longest: K · max n steps."""

    def counts(self, lengths: Sequence[int]) -> Turn:
        return (max(lengths),) * len(lengths)

    def turns(self, counts: Sequence[int], generator: Generator) -> list[Turn]:
        return [(k,) for k in range(len(counts))] * counts[0]


class Proportional(Sampling):
    """One stream in each step, in proportion to its batches: every row once in Σ n steps."""

    def counts(self, lengths: Sequence[int]) -> Turn:
        return tuple(lengths)


class Uniform(Sampling):
    """One stream in each step, all equally often in Σ n steps."""

    def counts(self, lengths: Sequence[int]) -> Turn:
        return apportion(sum(lengths), [1.0] * len(lengths))


class Temperature(Sampling):
    """One stream in each step, c_k ∝ n_k^(1/τ), in Σ n steps.

    Arivazhagan et al., "Massively Multilingual Neural Machine Translation in the Wild", 2019,
    section 4.2, where τ = 5. Differs from it in: the numbers are fixed, and n_k counts batches.

    Args:
        temperature: τ; 1 is proportional, a large one uniform.
    """

    def __init__(self, temperature: PositiveFloat = 5.0) -> None:
        self._temperature = temperature

    def counts(self, lengths: Sequence[int]) -> Turn:
        longest = max(lengths)  # only ratios matter, and those do not overflow
        shares = [(n / longest) ** (1 / self._temperature) for n in lengths]
        return apportion(sum(lengths), shares)


class Alone(Sampling):
    """The only stream, for a given number of steps.

    Args:
        count: c_1.
    """

    def __init__(self, count: int) -> None:
        self._count = count

    def counts(self, lengths: Sequence[int]) -> Turn:
        return (self._count,)


def apportion(total: int, shares: Sequence[float]) -> Turn:
    """Divide ``total`` in the ratio of ``shares``, to whole numbers of at least 1.

    Largest remainders are rounded up (Hamilton's method), after each has its 1.
    """
    free, whole = total - len(shares), sum(shares)
    exact = [max(0.0, total * share / whole - 1) for share in shares]
    exact = [free * part / max(sum(exact), 1e-300) for part in exact]
    counts = [int(part) for part in exact]
    by_remainder = sorted(range(len(shares)), key=lambda k: counts[k] - exact[k])
    for k in by_remainder[: free - sum(counts)]:
        counts[k] += 1
    return tuple(1 + count for count in counts)


def joint_batches(
    streams: Mapping[str, Stream], sampling: Sampling, start: int, stop: int, seed: int
) -> Iterator[dict[str, Batch]]:
    """Yield stream -> batch for training steps ``start`` to ``stop - 1``.

    Each stream continues after its last batch, whatever number of steps other streams took.
    ``seed`` sets the order of all epochs.
    """
    names = list(streams)
    counts = sampling.counts([stream.steps_per_epoch for stream in streams.values()])
    per_epoch = sampling.num_steps(counts)

    def turns(epoch: int) -> list[Turn]:
        generator = torch.Generator().manual_seed(derive_seed(seed, epoch))
        return sampling.turns(counts, generator)

    def taken(step: int) -> list[int]:
        """Return the number of batches taken from each stream before ``step``."""
        epoch, position = divmod(step, per_epoch)
        before = [k for turn in turns(epoch)[:position] for k in turn]
        return [epoch * count + before.count(k) for k, count in enumerate(counts)]

    spans = zip(streams.values(), taken(start), taken(stop), strict=True)
    batches = [stream.batches(first, last) for stream, first, last in spans]
    for epoch in range(start // per_epoch, -(-stop // per_epoch)):
        begin = max(0, start - epoch * per_epoch)
        for turn in turns(epoch)[begin : stop - epoch * per_epoch]:
            yield {names[k]: next(batches[k]) for k in turn}
