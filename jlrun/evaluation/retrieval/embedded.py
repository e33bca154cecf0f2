"""Rows of a split in the shared spaces of a model."""

# N rows;  P width of the space

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.data.augmentation.modality_dropout import presence
from jlrun.data.batch import Batch
from jlrun.data.positives import row_keys
from jlrun.data.streams import Stream
from jlrun.engine import Engine
from jlrun.models.joint_model import JointModel


@dataclass(frozen=True)
class Embedded:
    """All rows of a split in one space, on the CPU.

    Attributes:
        vectors: modality -> ``(N, P)`` of length 1; anything where the modality is absent.
        present: modality -> Bool ``(N,)``.
        labels: target column -> int64 ``(N,)``, −1 for unlabelled rows; columns of classes only.
        keys: int64 ``(N,)``, which rows are positives (`jlrun.data.positives`).
    """

    vectors: Mapping[str, Tensor]
    present: Mapping[str, Tensor]
    labels: Mapping[str, Tensor]
    keys: Tensor

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities that have vectors."""
        return tuple(self.vectors)

    def labelled(self, modality: str, column: str) -> tuple[Tensor, Tensor]:
        """Return vectors ``(M, P)`` and labels ``(M,)`` of the rows that have both."""
        rows = self.present[modality] & (self.labels[column] >= 0)
        return self.vectors[modality][rows], self.labels[column][rows]


@torch.no_grad()
def embed(
    model: JointModel, engine: Engine, stream: Stream, positives: Sequence[str] = ()
) -> dict[str, Embedded]:
    """Return name of a space -> all rows of ``stream`` in it.

    Args:
        model: put in evaluation mode.
        engine: precision.
        stream: a split.
        positives: columns whose equal labels make rows positives; empty: equal texts do.
    """
    model.eval()
    parts: dict[str, list[Mapping[str, Tensor]]] = {name: [] for name in model.spaces}
    present, labels, keys = [], [], []
    for batch in stream.sweep():
        for name, vectors in project(model, engine, batch).items():
            parts[name].append(vectors)
        modalities = {m for vectors in parts.values() for m in vectors[-1]}
        present.append({m: presence(batch, [m])[:, 0].cpu() for m in modalities})
        labels.append(_labels(batch))
        keys.append(row_keys(batch, positives).cpu())
    return {
        name: Embedded(
            vectors=_joined(found),
            present=_joined([{m: p[m] for m in found[0]} for p in present]),
            labels=_joined(labels),
            keys=torch.cat(keys),
        )
        for name, found in parts.items()
        if found
    }


def project(model: JointModel, engine: Engine, batch: Batch) -> dict[str, dict[str, Tensor]]:
    """Return space -> modality -> vectors ``(B, P)`` of length 1, float32 on the CPU."""
    with engine.autocast():
        features = model.features(batch)
        found = {name: space(features) for name, space in model.spaces.items()}
    return {
        name: {m: F.normalize(z.float(), dim=1).cpu() for m, z in vectors.items()}
        for name, vectors in found.items()
    }


def _labels(batch: Batch) -> dict[str, Tensor]:
    found = {}
    for name, y in batch.targets.items():
        if y.ndim == 1 and not y.is_floating_point():
            mask = batch.labelled.get(name)
            found[name] = (y.long() if mask is None else torch.where(mask, y.long(), -1)).cpu()
    return found


def _joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
