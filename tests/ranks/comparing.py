"""Comparison of what ranks have with what one process has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from jlrun.ranks.world import ALONE
from tests.ranks.processes import SIZES, Case, Processes

TOLERANCE = 1e-5


def check_equal(processes: Processes, case: Case, *arguments: Any) -> None:
    """Check that two and three ranks have what one process has, and all ranks the same bits."""
    alone = case(ALONE, *arguments)
    for size in SIZES:
        first, *others = processes.run(size, case, *arguments)
        assert_close(alone, first, f"{size} ranks: ")
        for rank, other in enumerate(others, 1):
            assert_close(first, other, f"rank {rank} of {size}: ", tolerance=0.0)


def assert_close(one: Any, two: Any, where: str = "", tolerance: float = TOLERANCE) -> None:
    """Compare nested values: all but whole numbers and names within the tolerance.

    That of a tensor is relative to its largest number, as its rounding is.
    """
    if isinstance(one, Tensor):
        numbers = one.numel() and one.is_floating_point()
        largest = float(one.nan_to_num(0.0).abs().max()) if numbers else 0.0
        # Momentum where the gradient is 0 but for rounding, as of a bias before BatchNorm.
        times = 10 if "/optimizer" in where else 1
        limits = {"rtol": tolerance, "atol": times * tolerance * max(1.0, largest)}
        torch.testing.assert_close(
            two, one, **limits, equal_nan=True, msg=lambda m: f"{where}: {m}"
        )
    elif isinstance(one, Mapping):
        assert one.keys() == two.keys(), where
        for key in one:
            assert_close(one[key], two[key], f"{where}/{key}", tolerance)
    elif isinstance(one, list | tuple):
        assert len(one) == len(two), where
        for i, (a, b) in enumerate(zip(one, two, strict=True)):
            assert_close(a, b, f"{where}/{i}", tolerance)
    elif isinstance(one, float):
        assert one == two or one != one or abs(one - two) <= tolerance * max(1, abs(one)), (
            f"{where}: {one} {two}"
        )
    else:
        assert one == two, where
