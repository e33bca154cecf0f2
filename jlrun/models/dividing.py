"""Division of the rows that a model is given: each rank computes its own ones, all get all.

Terms and balances call models on rows of all ranks. In a step of several ranks training divides
these rows (`jlrun.training.own_rows`); models only ask whether someone does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from torch import nn

from jlrun.data.batch import Batch

Found = TypeVar("Found")  # outputs, modality -> features, or a tensor


class Divide(Protocol):
    """Division of the rows of a call."""

    def __call__(self, model: nn.Module, batch: Batch, compute: Callable[[Batch], Found]) -> Found:
        """Return ``compute(batch)``, of which each rank has computed a part."""
        ...


_divide: Divide | None = None


@contextmanager
def dividing(divide: Divide | None) -> Iterator[None]:
    """Let models divide rows by ``divide``; None: not at all."""
    global _divide
    before, _divide = _divide, divide
    try:
        yield
    finally:
        _divide = before


def divided(model: nn.Module, batch: Batch, compute: Callable[[Batch], Found]) -> Found:
    """Return ``compute(batch)``.

    Args:
        model: that computes.
        batch: rows of all ranks.
        compute: from rows to outputs, features or logits.
    """
    return compute(batch) if _divide is None else _divide(model, batch, compute)
