"""Losses on the seen classes. Unseen ones play no part in any loss."""

# B rows, S seen classes;  s_j score of class j, y the true class

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor
from torch.nn import functional as F

from jlrun.objective.terms.base import precise
from jlrun.ranges import NonNegativeFloat, PositiveFloat


class Method(ABC):
    """A loss on the scores of seen classes.

    ``softmax``: whether it is a cross-entropy, which label smoothing changes.
    """

    softmax: ClassVar[bool] = False

    @abstractmethod
    def loss(self, scores: Tensor, target: Tensor, label_smoothing: float) -> Tensor:
        """Return the loss of each row, ``(B,)``.

        Args:
            scores: of the seen classes alone, ``(B, S)``.
            target: the position of the true class among them, int64 ``(B,)``.
            label_smoothing: of the data set's task; 0 unless ``softmax``.
        """


class CLIP(Method):
    """Cross-entropy over the scores of the seen classes.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML
    2021, section 2.3: with a head that scores by the cosine times a learned scale. Differs from it
    in: a row is set against all seen classes, not against the texts of the batch, and only in the
    direction from row to class.
    """

    softmax = True

    def loss(self, scores: Tensor, target: Tensor, label_smoothing: float) -> Tensor:
        return F.cross_entropy(scores, target, reduction="none", label_smoothing=label_smoothing)


class DeViSE(Method):
    """Σ_{j≠y} max(0, margin − s_y + s_j).

    Eq. 1 of Frome et al., "DeViSE: A Deep Visual-Semantic Embedding Model", NeurIPS 2013. Differs
    from it in: the sum is over all classes in each step; the paper stops at the first, in random
    order, that is not 0.

    Args:
        margin: by which the true class must lead.
    """

    def __init__(self, margin: PositiveFloat = 0.1) -> None:
        self.margin = margin

    def loss(self, scores: Tensor, target: Tensor, label_smoothing: float) -> Tensor:
        return _excess(scores, target, self.margin).sum(dim=1)


class ALE(Method):
    """(β_r / r) Σ_{j≠y} max(0, margin − s_y + s_j), of which r are above 0; β_r = Σ_{i≤r} 1/i.

    The weighted ranking objective of Akata et al., "Label-Embedding for Image Classification",
    TPAMI 2016: a class that is wrongly ahead counts the more the fewer they are. Differs from it
    in: all classes are summed over, where the paper's steps draw one (the paper's loss Δ between
    two classes is ``margin``).

    Args:
        margin: by which the true class must lead.
    """

    def __init__(self, margin: PositiveFloat = 1.0) -> None:
        self.margin = margin

    def loss(self, scores: Tensor, target: Tensor, label_smoothing: float) -> Tensor:
        excess = _excess(scores, target, self.margin)
        rank = (excess > 0).sum(dim=1)
        steps = torch.arange(1, scores.shape[1] + 1, device=scores.device, dtype=excess.dtype)
        beta = torch.cat([steps.new_zeros(1), (1 / steps).cumsum(dim=0)])
        return beta[rank] / rank.clamp(min=1) * excess.sum(dim=1)


class ESZSL(Method):
    """The body learns to classify the seen classes; the compatibility is solved for, not trained.

    Romera-Paredes & Torr, "An embarrassingly simple approach to zero-shot learning", ICML 2015; see
    `jlrun.strategies.zero_shot.eszsl`. Differs from it in: a plain classifier trains the features,
    on the seen
    classes alone, where the paper takes those of a finished network; and what a row's other classes
    should score is ``negative``, 0 here and −1 there: what lowers the scores of many seen classes
    at once raises those of unseen ones.

    Args:
        gamma: γ, on the classes mapped to features.
        lambda_: λ, on the features mapped to attributes.
        negative: score to be aimed at for classes that a row is not of; 1 for that it is of.
    """

    softmax = True

    def __init__(
        self,
        gamma: NonNegativeFloat = 1.0,
        lambda_: NonNegativeFloat = 1.0,
        negative: Annotated[float, Ge(-1), Le(0)] = 0.0,
    ) -> None:
        self.gamma = gamma
        self.lambda_ = lambda_
        self.negative = negative

    def loss(self, scores: Tensor, target: Tensor, label_smoothing: float) -> Tensor:
        return F.cross_entropy(scores, target, reduction="none", label_smoothing=label_smoothing)


def _excess(scores: Tensor, target: Tensor, margin: float) -> Tensor:
    """Return max(0, margin − s_y + s_j), ``(B, S)``, 0 where j is y."""
    scores = precise(scores)
    true = scores.gather(1, target[:, None])
    others = F.one_hot(target, scores.shape[1]) == 0
    return (margin - true + scores).clamp(min=0) * others
