"""Position embeddings of vision transformers, interpolated to another grid of patches."""

from __future__ import annotations

from math import isqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def fit_positions(
    table: Tensor,
    length: int,
    grid: tuple[int, int] | None,
    class_tokens: tuple[bool, bool],
) -> Tensor | None:
    """Return a table of positions, ``(1, length, D)``, for another grid; None if impossible.

    The grid is interpolated bicubically with aligned corners, as torchvision does. A class token
    without a position gets zeros, which adds none to it either.

    Args:
        table: ``(1, N, D)`` of the file: of the class token, if it has a place, then of a square
            grid.
        length: N of the model.
        grid: rows and columns of the model; None: it is square.
        class_tokens: whether file and model have a class token.
    """
    if table.ndim != 3 or len(table) != 1:
        return None
    file_token, model_token = class_tokens
    found = _split(table.shape[1], None, file_token)
    wanted = _split(length, grid, model_token)
    if found is None or wanted is None:
        return None
    (old_places, old_grid), (new_places, new_grid) = found, wanted
    places = table[:, :old_places]
    if new_places > old_places:
        places = table.new_zeros(1, new_places, table.shape[2])
    patches = table[:, old_places:]
    if old_grid != new_grid:
        patches = _resized(patches, old_grid, new_grid)
    return torch.cat([places[:, :new_places], patches], dim=1)


def grid_of(model: nn.Module, name: str) -> tuple[int, int] | None:
    """Return ``grid``, rows and columns, of the module that owns the table called ``name``."""
    grid = getattr(model.get_submodule(name.rpartition(".")[0]), "grid", None)
    return grid if isinstance(grid, tuple) and len(grid) == 2 else None


def _split(
    length: int, grid: tuple[int, int] | None, has_token: bool
) -> tuple[int, tuple[int, int]] | None:
    """Return the number of class tokens with a place, and the grid."""
    for places in (1, 0) if has_token else (0,):
        if grid is not None and grid[0] * grid[1] == length - places:
            return places, grid
        side = isqrt(max(0, length - places))
        if grid is None and side > 0 and side * side == length - places:
            return places, (side, side)
    return None


def _resized(patches: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    maps = patches.to(torch.promote_types(patches.dtype, torch.float32))
    maps = maps.view(1, *old, -1).permute(0, 3, 1, 2)
    maps = F.interpolate(maps, size=new, mode="bicubic", align_corners=True)
    return maps.flatten(2).transpose(1, 2).to(patches.dtype)
