"""Views of a data set's rows: a selection in a given order, and rows with some labels masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.rows import Rows


class View:
    """View of ``rows`` at ``indices``; only targets are copied.

    Args:
        rows: the viewed rows.
        indices: int64 ``(N,)``, positions in ``rows``.
        relabel: task -> int64 ``(C,)``, the new label of each old one. Every labelled row of the
            view must have an old label in the range; unlabelled ones get the filler 0.
    """

    def __init__(
        self, rows: Rows, indices: Tensor, relabel: Mapping[str, Tensor] | None = None
    ) -> None:
        self._rows = rows
        self._relabel = dict(relabel or {})
        self.indices = indices
        self._labelled = {task: mask[indices] for task, mask in rows.labelled.items()}
        self._targets = {task: self._target(task, y[indices]) for task, y in rows.targets.items()}

    @classmethod
    def of_all(cls, rows: Rows) -> View:
        """Return a view of all rows in their order."""
        return cls(rows, torch.arange(len(rows)))

    @property
    def base(self) -> Rows:
        """The viewed rows."""
        return self._rows

    @property
    def targets(self) -> Mapping[str, Tensor]:
        return self._targets

    @property
    def labelled(self) -> Mapping[str, Tensor]:
        return self._labelled

    @property
    def num_bytes(self) -> int:
        return self._rows.num_bytes * len(self) // max(len(self._rows), 1)

    def __len__(self) -> int:
        return len(self.indices)

    def fetch(self, rows: Tensor) -> Batch:
        """Return the raw rows at positions ``rows`` of this view, ``(M,)``, on the CPU."""
        batch = self._rows.fetch(self.indices[rows])
        relabelled = {task: self._targets[task][rows] for task in self._relabel}
        return replace(batch, targets={**batch.targets, **relabelled})

    def take(self, positions: Tensor, relabel: Mapping[str, Tensor] | None = None) -> View:
        """Return a view of the rows at ``positions`` of this one, ``(M,)``.

        ``relabel`` replaces the labels that this view gives; None keeps them.
        """
        labels = self._relabel if relabel is None else relabel
        return View(self._rows, self.indices[positions], labels)

    def relabelled(self, relabel: Mapping[str, Tensor]) -> View:
        """Return the same rows with the labels ``relabel[task][label]`` in place of ``label``."""
        composed = {
            task: new[self._relabel[task]] if task in self._relabel else new
            for task, new in relabel.items()
        }
        return View(self._rows, self.indices, {**self._relabel, **composed})

    def over(self, rows: Rows) -> View:
        """Return the same view of ``rows``, another form of the viewed rows."""
        return View(rows, self.indices, self._relabel)

    def _target(self, task: str, target: Tensor) -> Tensor:
        if task not in self._relabel:
            return target
        known = self._labelled.get(task, torch.ones(len(target), dtype=torch.bool))
        return self._relabel[task][torch.where(known, target.long(), 0)].to(target.dtype)


class MaskedLabels:
    """View of ``rows`` without the labels of rows outside ``known``.

    Args:
        rows: the viewed rows.
        known: Bool ``(N,)``, the rows whose labels may be used.
    """

    def __init__(self, rows: Rows, known: Tensor) -> None:
        assert len(known) == len(rows), "one entry for each row"
        self._rows, self._known = rows, known
        self._labelled = _masks(rows.targets, rows.labelled, known)

    @property
    def base(self) -> Rows:
        """The viewed rows."""
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
