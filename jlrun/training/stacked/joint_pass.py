"""Joint pass: the batches of several streams go through the model of several runs as one."""

# N runs, K streams, B_k rows of stream k in the batch of one run

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.models.joint_model import JointModel, Outputs


def jointly(
    model: JointModel, batches: Mapping[str, Batch], heads: Mapping[str, Sequence[str]], count: int
) -> dict[str, Outputs]:
    """Return stream -> outputs, as each run would find them with its streams in one batch.

    Args:
        model: of all runs.
        batches: stream -> the rows of all runs, ``(N·B_k, ...)``.
        heads: stream -> heads that are computed on it.
        count: N.
    """
    each = list(batches.values())
    sizes = [batch.size // count for batch in each]
    inputs = {
        modality: torch.cat(
            [batch.inputs[modality].unflatten(0, (count, -1)) for batch in each], dim=1
        ).flatten(0, 1)
        for modality in each[0].inputs
    }
    outputs = model(Batch(inputs), tuple(dict.fromkeys(h for n in batches for h in heads[n])))

    def pieces(column: Tensor) -> list[Tensor]:
        found = column.unflatten(0, (count, -1)).split(sizes, dim=1)
        return [piece.flatten(0, 1) for piece in found]

    features = {modality: pieces(x) for modality, x in outputs.features.items()}
    logits = {head: pieces(x) for head, x in outputs.logits.items()}
    return {
        name: Outputs(
            {modality: x[k] for modality, x in features.items()},
            fused,
            {head: logits[head][k] for head in heads[name]},
        )
        for k, (name, fused) in enumerate(zip(batches, pieces(outputs.fused), strict=True))
    }
