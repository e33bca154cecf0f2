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
        relabel: task -> int64 ``(C,)``, the new label of each old one; -1: rows that have it count
            as unlabelled. Every labelled row of the view must have an old label in the range;
            unlabelled ones get the filler 0.
    """

    def __init__(
        self, rows: Rows, indices: Tensor, relabel: Mapping[str, Tensor] | None = None
    ) -> None:
        self._rows = rows
        self._relabel = dict(relabel or {})
        self.indices = indices
        self._labelled = {task: mask[indices] for task, mask in rows.labelled.items()}
        self._targets = {task: y[indices] for task, y in rows.targets.items()}
        for task, new in self._relabel.items():
            self._move(task, new)

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
        """Column of targets -> one per row, of a task."""
        return self._targets

    @property
    def labelled(self) -> Mapping[str, Tensor]:
        """Column of targets -> Bool ``(N,)``, the rows that have a label."""
        return self._labelled

    @property
    def num_bytes(self) -> int:
        """Memory that all rows take when they are decoded."""
        return self._rows.num_bytes * len(self) // max(len(self._rows), 1)

    def __len__(self) -> int:
        return len(self.indices)

    def fetch(self, rows: Tensor) -> Batch:
        """Return the raw rows at positions ``rows`` of this view, ``(M,)``, on the CPU."""
        batch = self._rows.fetch(self.indices[rows])
        targets = {task: self._targets[task][rows] for task in self._relabel}
        known = {t: self._labelled[t][rows] for t in self._relabel if t in self._labelled}
        return replace(
            batch, targets={**batch.targets, **targets}, labelled={**batch.labelled, **known}
        )

    def take(self, positions: Tensor, relabel: Mapping[str, Tensor] | None = None) -> View:
        """Return a view of the rows at ``positions`` of this one, ``(M,)``.

        ``relabel`` replaces the labels that this view gives; None keeps them.
        """
        labels = self._relabel if relabel is None else relabel
        return View(self._rows, self.indices[positions], labels)

    def relabelled(self, relabel: Mapping[str, Tensor]) -> View:
        """Return the same rows with the labels ``relabel[task][label]`` in place of ``label``."""
        composed = {
            task: _after(self._relabel[task], new) if task in self._relabel else new
            for task, new in relabel.items()
        }
        return View(self._rows, self.indices, {**self._relabel, **composed})

    def over(self, rows: Rows) -> View:
        """Return the same view of ``rows``, another form of the viewed rows."""
        return View(rows, self.indices, self._relabel)

    def _move(self, task: str, new: Tensor) -> None:
        """Replace the labels of a task by ``new`` ones, and mask those that become -1."""
        old = self._targets[task]
        known = self._labelled.get(task, torch.ones(len(old), dtype=torch.bool))
        label = new[torch.where(known, old.long(), 0)]
        self._targets[task] = label.clamp(min=0).to(old.dtype)
        if bool((known & (label < 0)).any()):
            self._labelled[task] = known & (label >= 0)


def _after(first: Tensor, then: Tensor) -> Tensor:
    """Return the labels after two renumberings; -1 stays."""
    return torch.where(first < 0, first, then[first.clamp(min=0)])


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
        """Column of targets -> one per row, of a task."""
        return self._rows.targets

    @property
    def labelled(self) -> Mapping[str, Tensor]:
        """Column of targets -> Bool ``(N,)``, the rows that have a label."""
        return self._labelled

    @property
    def num_bytes(self) -> int:
        """Memory that all rows take when they are decoded."""
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
