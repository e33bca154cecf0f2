"""Unsupervised validators: base class, and the evidence that they score."""

# N, S, T rows of source training, source validation, target;  D features;  K classes

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from jlrun.seeding import derive_seed


@dataclass(frozen=True)
class Evidence:
    """Outputs of one head on sources and target: float tensors on the CPU.

    K logits are those of exclusive classes; a single one is that of a yes-or-no task.

    Attributes:
        source_train_features: ``(N, D)``, training rows of the sources.
        source_features: ``(S, D)``, labelled validation rows of the sources.
        source_logits: ``(S, K)``, of the same rows.
        source_labels: ``(S,)`` int64, of the same rows.
        target_features: ``(T, D)``, target rows, without labels.
        target_logits: ``(T, K)``, of the same rows.
    """

    source_train_features: Tensor
    source_features: Tensor
    source_logits: Tensor
    source_labels: Tensor
    target_features: Tensor
    target_logits: Tensor

    def __post_init__(self) -> None:
        counts = {len(self.source_features), len(self.source_logits), len(self.source_labels)}
        assert len(counts) == 1, "source features, logits and labels are of the same rows"
        assert len(self.target_features) == len(self.target_logits), "target rows differ"


class Validator(ABC):
    """Scores a model for the target without target labels; larger is better.

    A score compares models on the same rows: those of other data, or of other numbers of rows or
    classes, may lie on another scale. It is a function of the evidence alone: the same in a
    resumed run.
    """

    name: ClassVar[str]

    @abstractmethod
    def score(self, evidence: Evidence) -> float:
        """Return the score, a finite number.

        It is −inf, so that the model is never selected, where a tensor that the score is about has
        no row or holds a number that is not finite.
        """


def usable(*tensors: Tensor) -> bool:
    """Return whether each tensor has a row and all numbers are finite."""
    return all(len(x) > 0 and bool(x.isfinite().all()) for x in tensors)


def limited(rows: Tensor, max_rows: int) -> Tensor:
    """Return ``rows``, or ``max_rows`` of them drawn without replacement, in their order.

    Which ones depends on both numbers alone, so that epochs and runs are compared on the same rows.
    """
    if len(rows) <= max_rows:
        return rows
    generator = torch.Generator().manual_seed(derive_seed("validator", len(rows), max_rows))
    kept = torch.randperm(len(rows), generator=generator)[:max_rows]
    return rows[kept.sort().values]


ROWS_AT_ONCE = 4096


def class_logits(logits: Tensor) -> Tensor:
    """Return float64 logits of exclusive classes ``(B, K)``: a single one, z, becomes (0, z)."""
    z = logits.double()
    return torch.cat([torch.zeros_like(z), z], dim=1) if z.shape[1] == 1 else z


def probabilities(logits: Tensor) -> Iterator[Tensor]:
    """Yield the class probabilities of all rows, some rows at a time, ``(b, K)``."""
    for rows in logits.split(ROWS_AT_ONCE):
        yield class_logits(rows).softmax(dim=1)


def mean_probabilities(logits: Tensor) -> Tensor:
    """Return the mean over rows, ``(K,)``."""
    return torch.stack([p.sum(dim=0) for p in probabilities(logits)]).sum(dim=0) / len(logits)


def mean_entropy(logits: Tensor) -> float:
    """Return the mean entropy of a row's prediction in nats."""
    return sum(float(torch.special.entr(p).sum()) for p in probabilities(logits)) / len(logits)
