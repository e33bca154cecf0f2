"""Batch: the unit of data that flows from data sets to models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import torch
from torch import Tensor

from jlrun.data.lazy_inputs import LazyInputs
from jlrun.data.pixel_order import rows_at


@dataclass(frozen=True)
class Batch:
    """Rows of inputs and targets, any of which may be missing.

    Attributes:
        inputs: modality -> tensor of shape ``(B, ...)``; rows of an absent modality hold filler.
        targets: task -> tensor of shape ``(B,)``; ``(B, C)`` for multilabel tasks, and maps
            ``(B, H, W)`` or ``(B, C, H, W)`` for dense ones.
        present: modality -> ``Bool (B,)``; a modality without an entry is present in every row.
        labelled: task -> ``Bool (B,)``; a task without an entry is labelled in every row.
        mixed_targets: targets of the rows each row was mixed with (mixup, cutmix); empty if none.
        mix_weight: ``(B,)``, the share of the row's own target; None if nothing was mixed.
        views: augmented versions of ``inputs``, each as ``inputs``; empty if none were asked for.
    """

    inputs: Mapping[str, Tensor]
    targets: Mapping[str, Tensor] = field(default_factory=dict)
    present: Mapping[str, Tensor] = field(default_factory=dict)
    labelled: Mapping[str, Tensor] = field(default_factory=dict)
    mixed_targets: Mapping[str, Tensor] = field(default_factory=dict)
    mix_weight: Tensor | None = None
    views: tuple[Mapping[str, Tensor], ...] = ()

    @property
    def size(self) -> int:
        """Number of rows B."""
        if isinstance(self.inputs, LazyInputs):
            return self.inputs.count
        for column in chain(self.inputs.values(), self.targets.values()):
            return column.shape[0]
        raise AssertionError("a batch has at least one column")

    @classmethod
    def concatenate(cls, batches: Sequence[Batch]) -> Batch:
        """Return the rows of all batches, in order.

        Args:
            batches: at least one; all have the same modalities, targets and number of views.
        """
        first, sizes = batches[0], [batch.size for batch in batches]

        def each(columns: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
            return {name: torch.cat([c[name] for c in columns]) for name in columns[0]}

        def masks(columns: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
            """Return masks of all batches; one without an entry has it in every row."""
            found = {name: mask.device for c in columns for name, mask in c.items()}
            everywhere = {
                n: [torch.ones(size, dtype=torch.bool, device=d) for size in sizes]
                for n, d in found.items()
            }
            return {
                n: torch.cat([c.get(n, ones[i]) for i, c in enumerate(columns)])
                for n, ones in everywhere.items()
            }

        weights = [batch.mix_weight for batch in batches]
        return Batch(
            inputs=each([batch.inputs for batch in batches]),
            targets=each([batch.targets for batch in batches]),
            present=masks([batch.present for batch in batches]),
            labelled=masks([batch.labelled for batch in batches]),
            mixed_targets=each([batch.mixed_targets for batch in batches]),
            mix_weight=torch.cat([w for w in weights if w is not None])
            if all(w is not None for w in weights)
            else None,
            views=tuple(
                each([batch.views[i] for batch in batches]) for i in range(len(first.views))
            ),
        )

    def view(self, number: int) -> Batch:
        """Return the batch with one of its augmented views as inputs.

        Args:
            number: of the view, from 0.
        """
        return replace(self, inputs=self.views[number], views=())

    def without_labels(self) -> Batch:
        """Return the batch without any target."""
        return replace(self, targets={}, labelled={}, mixed_targets={}, mix_weight=None)

    def select(self, rows: Tensor) -> Batch:
        """Return the rows at ``rows``: indices from 0 ``(N,)``, or a Bool mask ``(B,)``."""
        if rows.dtype == torch.bool:
            return self._map(lambda tensor: tensor[rows])
        return self._map(lambda tensor: rows_at(tensor, rows))

    def part(self, start: int, stop: int) -> Batch:
        """Return the rows from ``start`` to ``stop - 1``; nothing is copied."""
        if not isinstance(self.inputs, LazyInputs):
            return self._map(lambda tensor: tensor[start:stop])
        rest = replace(self, inputs={})._map(lambda tensor: tensor[start:stop])
        return replace(rest, inputs=self.inputs.part(start, stop))

    def to(self, device: torch.device) -> Batch:
        """Return the batch on ``device``, float64 as float32 on MPS, which has no other."""
        lowered = {torch.float64: torch.float32} if device.type == "mps" else {}
        return self._map(lambda x: x.to(device, lowered.get(x.dtype, x.dtype), non_blocking=True))

    def chunks(self, count: int) -> list[Batch]:
        """Split the rows into at most ``count`` parts of nearly equal size."""
        count = min(count, self.size)
        bounds = torch.arange(self.size).tensor_split(count)
        return [self.part(int(b[0]), int(b[-1]) + 1) for b in bounds]

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        def each(columns: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: function(tensor) for name, tensor in columns.items()} if columns else {}

        return Batch(
            inputs=each(self.inputs),
            targets=each(self.targets),
            present=each(self.present),
            labelled=each(self.labelled),
            mixed_targets=each(self.mixed_targets),
            mix_weight=None if self.mix_weight is None else function(self.mix_weight),
            views=tuple(each(view) for view in self.views),
        )
