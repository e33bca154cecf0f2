"""Rows of reference models: inputs and labels of each split, and how many of them are used."""

# N rows

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from jlrun.data.rows import Rows
from jlrun.evaluation.references.inputs import TableInputs
from jlrun.seeding import derive_seed
from jlrun.tasks import TaskSpec

# Bounds of what is learned from, and of what settings are chosen on.
MOST_ROWS = 50_000
_MOST_CELLS = 20_000_000
_MOST_TEXT = 20_000_000  # bytes


@dataclass(frozen=True)
class SplitRows:
    """Inputs and labels of a split.

    Attributes:
        rows: the split.
        inputs: of all its rows.
    """

    rows: Rows
    inputs: TableInputs

    @classmethod
    def of(cls, rows: Rows, modalities: Sequence[str]) -> SplitRows | None:
        """Return the rows of a split; None if they are of no table."""
        inputs = TableInputs.of(rows, modalities)
        return None if inputs is None else cls(rows, inputs)

    def __len__(self) -> int:
        return len(self.rows)

    def labelled(self, spec: TaskSpec) -> np.ndarray:
        """Return which rows have a label of the task, Bool ``(N,)``."""
        mask = self.rows.labelled.get(spec.column)
        return np.ones(len(self), dtype=bool) if mask is None else mask.numpy()

    def target(self, spec: TaskSpec, rows: np.ndarray) -> Tensor:
        """Return the targets of the rows at ``rows``."""
        return self.rows.targets[spec.column][torch.from_numpy(rows)]

    def used(self, tasks: Sequence[TaskSpec], seed: int) -> np.ndarray:
        """Return the rows with a label of any task, always the same ones of too many, ascending.

        At most 50,000 rows, 20 million cells and 20 MB of text.
        """
        rows = np.flatnonzero(np.any([self.labelled(spec) for spec in tasks], axis=0))
        most = most_rows(self.inputs)
        if len(rows) <= most:
            return rows
        generator = np.random.default_rng(derive_seed(seed, "references"))
        return np.sort(generator.choice(rows, most, replace=False))


def most_rows(inputs: TableInputs) -> int:
    """Return how many rows are within the bounds, at least 1,000."""
    by_cells = _MOST_CELLS // max(inputs.num_cells, 1)
    by_text = int(_MOST_TEXT / max(inputs.bytes_of_text(), 1.0))
    return max(1_000, min(MOST_ROWS, by_cells, by_text))


@dataclass(frozen=True)
class ReferenceRows:
    """The splits of a data set."""

    train: SplitRows
    val: SplitRows
    test: SplitRows
