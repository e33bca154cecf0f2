"""Cells as numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_LARGEST = float(np.finfo(np.float32).max)


def to_numbers(cells: Sequence[str], decimal: str = ".") -> tuple[np.ndarray, list[int]]:
    """Return cells as float64 ``(N,)``, NaN where missing, and the positions of those that are no
    number, or none that float32 can hold."""
    if decimal != ".":
        cells = [cell.replace(decimal, ".") for cell in cells]
    plain = not any("_" in cell for cell in cells)  # which Python takes for a mark between digits
    try:
        if plain:
            values = np.array([float(cell) if cell else np.nan for cell in cells])
            if not (np.abs(values) > _LARGEST).any() and _filled(cells) == _known(values):
                return values, []
    except ValueError:
        pass
    values = np.full(len(cells), np.nan)
    wrong = []
    for i, cell in enumerate(cells):
        if not cell:
            continue
        number = _number(cell)
        if number is None:
            wrong.append(i)
        else:
            values[i] = number
    return values, wrong


def _filled(cells: Sequence[str]) -> int:
    return len(cells) - sum(not cell for cell in cells)


def _known(values: np.ndarray) -> int:
    return len(values) - int(np.isnan(values).sum())


def _number(cell: str) -> float | None:
    try:
        value = float(cell) if "_" not in cell else float("nan")
    except ValueError:
        return None
    return value if abs(value) <= _LARGEST else None
