"""Embeddings of the target's training rows by a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jlrun.errors import UserError
from jlrun.runs.ranking.candidates import Candidate
from jlrun.runs.ranking.sources import attributed_to
from jlrun.runs.ranking.target import Target
from jlrun.tasks import Binary, Multiclass


@dataclass(frozen=True)
class Embedding:
    """Embedding of N rows by a candidate.

    Attributes:
        features: float32 ``(N, D)``.
        probabilities: head -> float32 ``(N, Z)``, of heads with Z exclusive classes.
    """

    features: NDArray[np.float32]
    probabilities: Mapping[str, NDArray[np.float32]]

    def take(self, rows: NDArray[np.bool_]) -> Embedding:
        """Return the rows where ``rows``, Bool ``(N,)``, is true."""
        chosen = {head: p[rows] for head, p in self.probabilities.items()}
        return Embedding(self.features[rows], chosen)


@torch.no_grad()
def embed(candidate: Candidate, target: Target) -> Embedding:
    """Return the target's training rows, in their order and not augmented, as the candidate embeds
    them. Maps are averaged over their pixels.

    Raises:
        UserError: if the rows cannot be made what the candidate takes, or its features are not
            finite.
    """
    deciding = [o for o in candidate.scored if isinstance(o.spec.task, Multiclass | Binary)]
    # An untrained network has no heads, and yields the features that all heads would read.
    heads = [objective.head for objective in candidate.scored] or list(candidate.model.heads)
    features: list[Tensor] = []
    probabilities: dict[str, list[Tensor]] = {objective.spec.name: [] for objective in deciding}
    with attributed_to(candidate.name):
        for batch in target.stream(candidate.specs).sweep():
            with target.engine.autocast():
                outputs = candidate.model(batch, heads)
            fused = outputs.fused
            features.append(fused.flatten(2).mean(dim=2) if fused.ndim > 2 else fused)
            for o in deciding:
                found = o.spec.task.probabilities(outputs.logits[o.head].float())
                probabilities[o.spec.name].append(found)
        embedded = Embedding(_rows(features), {h: _rows(p) for h, p in probabilities.items()})
        if not all(map(_finite, (embedded.features, *embedded.probabilities.values()))):
            raise UserError.of("", "its features of the target's rows are not all finite numbers")
    return embedded


def _rows(parts: list[Tensor]) -> NDArray[np.float32]:
    return torch.cat([part.float().cpu() for part in parts]).numpy()


def _finite(values: NDArray[np.float32]) -> bool:
    return bool(np.isfinite(values).all())
