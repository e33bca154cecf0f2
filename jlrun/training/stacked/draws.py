"""Draws: the random numbers of each of several runs, whose steps are done together."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


class Draws:
    """Global generators of Python, NumPy and PyTorch (CPU), as each run would find them by itself.

    A step of a run begins by seeding them. Here that is put off until the run draws for the first
    time, and they are put back for the run whenever it draws again in the step.

    Args:
        count: number of runs.
    """

    def __init__(self, count: int) -> None:
        self._seeds: list[Callable[[], None]] = []
        self._states: list[Any] = [None] * count

    def begin_step(self, seeds: list[Callable[[], None]]) -> None:
        """Begin a step.

        Args:
            seeds: of each run, what seeds the generators for its step.
        """
        self._seeds = seeds
        self._states = [None] * len(seeds)

    @contextmanager
    def of(self, number: int) -> Iterator[None]:
        """Return the context in which a run draws."""
        state = self._states[number]
        if state is None:
            self._seeds[number]()
        else:
            python, numpy, pytorch = state
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
            torch.set_rng_state(pytorch)
        yield
        numpy = np.random.get_state()  # noqa: NPY002
        self._states[number] = (random.getstate(), numpy, torch.get_rng_state())
