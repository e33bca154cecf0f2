"""The Shapley value of each modality in a model's logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import comb

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.models.joint_model import JointModel


def shapley_values(values: Tensor) -> Tensor:
    """Return φ ``(M, …)``, which adds up to the value of the full set minus that of the empty set.

    φ_m = Σ_{S ∌ m} |S|! (M − |S| − 1)! / M! · (v(S ∪ m) − v(S)).

    Args:
        values: v ``(2^M, …)``; bit m of the position says whether m is in the set.
    """
    count = len(values).bit_length() - 1
    rows = []
    for m in range(count):
        bit, total = 1 << m, torch.zeros_like(values[0])
        for subset in range(len(values)):
            if not subset & bit:
                weight = 1 / (count * comb(count - 1, subset.bit_count()))
                total += weight * (values[subset | bit] - values[subset])
        rows.append(total)
    return torch.stack(rows)


def logits_by_modality(
    model: JointModel, batch: Batch, heads: Sequence[str], modalities: Sequence[str]
) -> dict[str, Tensor]:
    """Return head -> logits ``(M, B, outputs)`` contributed by each modality: Shapley values.

    The value of a set is the logits where the other modalities are absent, 0 for rows that have
    none of the set.

    Args:
        model: in evaluation mode.
        batch: B rows.
        heads: at least one.
        modalities: all of the model.
    """
    everything = model(batch, heads).logits
    values = {
        head: logits.new_zeros(2 ** len(modalities), *logits.shape)
        for head, logits in everything.items()
    }
    for subset in range(1, 2 ** len(modalities)):
        kept = {m for i, m in enumerate(modalities) if subset >> i & 1}
        for head, logits in _logits_of(model, batch, heads, modalities, kept).items():
            values[head][subset] = logits
    return {head: shapley_values(value) for head, value in values.items()}


def _logits_of(
    model: JointModel,
    batch: Batch,
    heads: Sequence[str],
    modalities: Sequence[str],
    kept: set[str],
) -> Mapping[str, Tensor]:
    """Return head -> logits ``(B, outputs)`` with the other modalities absent."""
    everywhere = next(iter(batch.inputs.values())).new_ones(batch.size, dtype=torch.bool)
    present = {
        m: batch.present.get(m, everywhere) if m in kept else ~everywhere for m in modalities
    }
    some = torch.stack([present[m] for m in kept]).any(dim=0)
    if not bool(some.any()):
        return {}
    rows = some.nonzero()[:, 0]
    logits = model(replace(batch, present=present).select(rows), heads).logits
    return {
        head: found.new_zeros(batch.size, *found.shape[1:]).index_put((rows,), found)
        for head, found in logits.items()
    }
