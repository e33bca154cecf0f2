"""Presence of modalities, per batch and per row."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from jlrun.errors import UserError


def require_several(name: str, features: Mapping[str, int]) -> None:
    """Check that there are at least two modalities.

    Raises:
        UserError: if there are fewer than two modalities.
    """
    if len(features) < 2:
        found = f"only '{next(iter(features))}'" if features else "no modality"
        raise UserError.of(
            "fusion",
            f"'{name}' fuses two modalities or more, but the run has {found}. "
            "Set fusion=none, or choose a data set with more modalities.",
        )


def presence(features: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Tensor:
    """Return the present modalities of each row, Bool ``(B, M)``, in the order of ``features``."""
    columns = [
        present[modality] if modality in present else x.new_ones(len(x), dtype=torch.bool)
        for modality, x in features.items()
    ]
    return torch.stack(columns, dim=1)


def zero_absent(x: Tensor, mask: Tensor) -> Tensor:
    """Return ``x`` ``(B, D)`` with zeros in the rows where ``mask``, Bool ``(B,)``, is false."""
    return x.masked_fill(~mask[:, None], 0.0)
