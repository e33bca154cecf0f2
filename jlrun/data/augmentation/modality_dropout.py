"""Modality dropout: training rows lose some of their modalities at random, but never all."""

# B rows, M modalities

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from jlrun.data.augmentation.image_ops import uniform
from jlrun.data.batch import Batch


@dataclass(frozen=True)
class ModalityDropout:
    """Hides modalities of training rows, so that a model learns to do without them.

    As in Neverova et al., "ModDrop: Adaptive Multi-Modal Gesture Recognition", TPAMI 2016, each
    modality of each row is hidden independently, at its own rate. Differs from it in: the model
    gets a mask of absent modalities instead of zeros, and no row loses everything
    (`what_is_left`). Only `Batch.present` changes.

    Attributes:
        rates: modality -> probability in [0, 1); modalities without an entry are never hidden.
    """

    rates: Mapping[str, float] = field(default_factory=dict)

    @property
    def acts(self) -> bool:
        """Whether anything is ever hidden."""
        return any(self.rates.values())

    def __call__(self, batch: Batch, generator: Generator) -> Batch:
        """Return the batch with modalities hidden, a function of batch and ``generator`` alone.

        The draws depend on all modalities of the batch, in their order.
        """
        names = list(batch.inputs)
        if not self.acts or len(names) < 2:
            return batch
        has = presence(batch, names)
        rates = torch.tensor([self.rates.get(name, 0.0) for name in names], device=has.device)
        drawn = uniform((batch.size, len(names)), generator, has.device)
        return with_presence(batch, names, what_is_left(has, rates, drawn))


def presence(batch: Batch, modalities: Sequence[str]) -> Tensor:
    """Return which of ``modalities`` each row has, Bool ``(B, M)``."""
    columns = [
        batch.present[name]
        if name in batch.present
        else torch.ones(batch.size, dtype=torch.bool, device=batch.inputs[name].device)
        for name in modalities
    ]
    return torch.stack(columns, dim=1)


def with_presence(batch: Batch, modalities: Sequence[str], has: Tensor) -> Batch:
    """Return the batch with ``has``, Bool ``(B, M)``, as the mask of ``modalities``.

    A modality that all rows have gets no entry, as everywhere.
    """
    present = dict(batch.present)
    for name, mask in zip(modalities, has.unbind(dim=1), strict=True):
        present.pop(name, None)
        if not bool(mask.all()):
            present[name] = mask
    return replace(batch, present=present)


def what_is_left(has: Tensor, rates: Tensor, drawn: Tensor) -> Tensor:
    """Return which modalities remain, Bool ``(B, M)``: at least one of those a row has.

    Modality m is lost where u_m < p_m. A row that would lose all keeps the one with the largest
    u_m / p_m: given that all are lost, these are uniform and independent, so that each modality is
    kept equally often. Of M modalities that all rows have, m is lost at the rate p_m − Π p / M.
    The same draws at higher rates leave a subset of what they leave at lower ones.

    Args:
        has: what rows have, Bool ``(B, M)``.
        rates: p, ``(M,)``, in [0, 1).
        drawn: u, ``(B, M)``, uniform in [0, 1).
    """
    left = has & (drawn >= rates)
    nearness = drawn / rates.clamp(min=torch.finfo(drawn.dtype).tiny)
    nearest = nearness.masked_fill(~has, -1.0).argmax(dim=1)
    last = F.one_hot(nearest, has.shape[1]).bool() & has
    return torch.where(left.any(dim=1, keepdim=True), left, last)
