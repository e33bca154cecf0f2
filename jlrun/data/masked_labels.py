"""Rows of which only some labels may be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.rows import Rows


class MaskedLabels:
    """The rows of ``rows``, themselves `Rows`, of which those outside ``known`` have no labels.

    Args:
        rows: what is looked at.
        known: Bool ``(N,)``, whose labels may be used.
    """

    def __init__(self, rows: Rows, known: Tensor) -> None:
        assert len(known) == len(rows), "one entry for each row"
        self._rows, self._known = rows, known
        self._labelled = _masks(rows.targets, rows.labelled, known)

    @property
    def base(self) -> Rows:
        """What is looked at."""
        return self._rows

    @property
    def targets(self) -> Mapping[str, Tensor]:
        return self._rows.targets

    @property
    def labelled(self) -> Mapping[str, Tensor]:
        return self._labelled

    @property
    def num_bytes(self) -> int:
        return self._rows.num_bytes

    def __len__(self) -> int:
        return len(self._rows)

    def fetch(self, rows: Tensor) -> Batch:
        """Return the raw rows at the indices ``rows`` of shape ``(N,)``, on the CPU."""
        batch = self._rows.fetch(rows)
        return replace(batch, labelled=_masks(batch.targets, batch.labelled, self._known[rows]))


def _masks(
    targets: Mapping[str, Tensor], labelled: Mapping[str, Tensor], known: Tensor
) -> dict[str, Tensor]:
    everywhere = torch.ones_like(known)
    return {task: labelled.get(task, everywhere) & known for task in targets}
