"""Logits that are one vector for each row."""

from __future__ import annotations

from torch import Tensor

from jlrun.errors import UserError


def check_row_logits(logits: Tensor) -> None:
    """Check that logits are ``(B, outputs)``.

    Raises:
        UserError: if they are maps, as a dense head yields them.
    """
    if logits.ndim > 2:
        raise UserError.of(
            "heads",
            "the head yields a map for each row, but a task has one target per row. Use "
            "heads=linear with a backbone that pools, or keep the tasks with maps: tasks=[…]",
        )
