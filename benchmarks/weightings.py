"""A step with each weighting that takes task gradients at the features, and with FAMO, at 8 tasks.

The model, rows and steps are those of `benchmarks/multitask.py`, which measures all weightings, on
features and on parameters, at several numbers of tasks: a small CNN with 8 heads of ten classes on
64 images of 28 x 28 pixels. The plain sum is the loop that one writes by hand: the losses are added
up and differentiated once, with the default Adam of PyTorch. Images and weights of both are
channels-last, as jlrun's are by default. The rounds are those of five processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch

from benchmarks.alternation import (
    Comparison,
    forget_what_is_there,
    in_new_processes,
    in_turns,
    pooled,
)
from benchmarks.multitask import WEIGHTINGS, our_step, plain_step, routes_of
from jlrun.engine import session

TASKS, BLOCK = 8, 8  # steps
LAYOUT = torch.channels_last  # of jlrun by default, and of the reference: pooling is faster by far
REFERENCE = "a plain sum"
ON_LOSSES = ("famo", "equal")


def measure(rounds: int, threads: int, names: Sequence[str] = ()) -> Iterator[Comparison]:
    """Yield the comparison of each weighting, or of those with ``names``."""
    found = in_new_processes(rounds, compare, threads, names or weightings())
    yield from map(pooled, zip(*found, strict=True))


def compare(threads: int, names: Sequence[str], rounds: int) -> list[Comparison]:
    """Return the comparisons of some weightings."""
    device, found = torch.device("cpu"), list[Comparison]()
    with session(threads=threads, deterministic=False):
        forget_what_is_there()
        for name in names:
            source = None if name in ON_LOSSES else "features"
            ours = many(our_step(name, TASKS, device, source, LAYOUT))
            theirs = many(plain_step(TASKS, device, LAYOUT))
            found.append(
                Comparison(name, REFERENCE, "step", facts={"tasks": TASKS, "block": BLOCK})
            )
            for pair in in_turns(ours, theirs, BLOCK, rounds):
                found[-1].add(*pair)
    return found


def weightings() -> tuple[str, ...]:
    """Return the names of those that are measured."""
    every = sorted(f.stem for f in WEIGHTINGS.glob("*.yaml") if not f.stem.startswith("_"))
    return (*ON_LOSSES, *(name for name in every if "features" in routes_of(name)))


def many(step: Callable[[], object]) -> Callable[[int], None]:
    """Return what does a number of steps."""

    def steps(count: int) -> None:
        for _ in range(count):
            step()

    return steps
