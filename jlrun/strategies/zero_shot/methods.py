"""Methods of zero-shot learning: losses on the seen classes, or a closed form."""

# B rows, S seen classes;  s_j score of class j, y the true class
# D features, A attributes, N rows, z seen classes
# X features (N, D);  Y (N, z), 1 at the row's class, else `negative`;  S class vectors (z, A)
# V (D, A) compatibility;  γ, λ strengths

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, cast

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.streams import Stream
from jlrun.errors import UserError
from jlrun.models.class_vectors import Normalization
from jlrun.models.heads.embedding import described
from jlrun.models.heads.vectors import check_vectors
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import PhaseStart, StepView, Term, no_loss, precise
from jlrun.ranges import NonNegativeFloat, PositiveFloat, PositiveInt
from jlrun.strategies.zero_shot.classes import ClassSplit


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
    `solve`. Differs from it in: a plain classifier trains the features, on the seen classes alone,
    where the paper takes those of a finished network; and what a row's other classes should score
    is ``negative``, 0 here and −1 there: what lowers the scores of many seen classes at once raises
    those of unseen ones.

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


class ClosedForm(nn.Module):
    """A plain classifier in training; in evaluation, scores ``f V φ(c)`` with a V that was solved.

    Args:
        in_features: D, width of the features ``(B, D)``.
        out_features: K, number of logits.
        classes: the K names of the classes.
        attributes, normalize: as in `jlrun.models.heads.Embedding`.

    Raises:
        UserError: as `jlrun.models.heads.Embedding`.
    """

    class_vectors: Tensor  # (K, A)
    solution: Tensor  # (D, A), V; 0 until it is solved for

    def __init__(
        self,
        in_features: PositiveInt,
        out_features: PositiveInt,
        *classes: str,
        attributes: str | dict[str, Any] = "words",
        normalize: Normalization = "l2",
    ) -> None:
        super().__init__()
        vectors = described(classes, out_features, attributes, normalize)
        self.classifier = nn.Linear(in_features, out_features)
        self.register_buffer("class_vectors", vectors)
        self.register_buffer("solution", torch.zeros(in_features, vectors.shape[1]))

    def forward(self, features: Tensor) -> Tensor:
        check_vectors(features)
        if self.training:
            return self.classifier(features)
        return features @ self.solution @ self.class_vectors.T


class SolveEszsl(Term):
    """Solves for V on all training rows, whenever the model is about to be scored.

    It adds no_loss to the loss, and does nothing in phases that do not compute the head.

    Args:
        head: name of the head, a `ClosedForm`.
        stream, column: the training rows, and the column of their classes.
        split: which classes are seen; rows of others must not be in the stream.
        method: γ and λ.
    """

    weight = 0.0

    def __init__(
        self, head: str, stream: str, column: str, split: ClassSplit, method: ESZSL
    ) -> None:
        super().__init__()
        self.head = head
        self.stream = stream
        self.column = column
        self.split = split
        self.method = method
        self._acts = True

    def begin_phase(self, start: PhaseStart) -> None:
        self._acts = self.head in start.tasks  # a self-supervised phase has no heads

    def forward(self, view: StepView) -> Tensor:
        return no_loss(view)

    def check(self, model: nn.Module) -> None:
        if not isinstance(cast(JointModel, model).heads[self.head], ClosedForm):
            raise UserError.of(
                "zero_shot.head",
                "zero_shot=eszsl solves for a head that is a jlrun.strategies.zero_shot.ClosedForm "
                "on fused features; leave zero_shot.head as it is, and choose another fusion than "
                "late",
            )

    @torch.no_grad()
    def before_evaluation(self, model: JointModel, streams: Mapping[str, Stream]) -> None:
        if not self._acts:
            return
        head = model.heads[self.head]
        assert isinstance(head, ClosedForm), "check has been called"
        seen = torch.tensor(self.split.seen)
        gram: Tensor | float = 0.0
        products: Tensor | float = 0.0
        for batch in streams[self.stream].sweep():
            x = model.body(batch, [self.head]).by_task[self.head].double().cpu()
            right = (batch.targets[self.column].cpu()[:, None] == seen).double()
            y = right + self.method.negative * (1 - right)
            gram, products = gram + x.T @ x, products + x.T @ y
        vectors = head.class_vectors.double().cpu()[seen]
        v = solve(cast(Tensor, gram), cast(Tensor, products), vectors, self.method)
        head.solution.copy_(v)


def solve(gram: Tensor, products: Tensor, vectors: Tensor, method: ESZSL) -> Tensor:
    """Return V = (XᵀX + γI)⁻¹ XᵀY S (SᵀS + λI)⁻¹, ``(D, A)``.

    The solution of Romera-Paredes & Torr, "An embarrassingly simple approach to zero-shot
    learning", ICML 2015, for β = γλ, with rows in place of columns: the minimum over V of
    ‖X V Sᵀ − Y‖² + γ ‖V Sᵀ‖² + λ ‖X V‖² + γλ ‖V‖². Differs from it in: where γ or λ is 0 and its
    matrix has no inverse, the pseudo-inverse stands in its place.

    Args:
        gram: XᵀX, float64 ``(D, D)``.
        products: XᵀY, float64 ``(D, z)``.
        vectors: S, float64 ``(z, A)``.
        method: γ and λ.
    """
    left = gram + method.gamma * torch.eye(len(gram), dtype=gram.dtype)
    of_attributes = vectors.T @ vectors
    right = of_attributes + method.lambda_ * torch.eye(len(of_attributes), dtype=gram.dtype)
    return _inverse(left) @ products @ vectors @ _inverse(right)


def _inverse(symmetric: Tensor) -> Tensor:
    return torch.linalg.pinv(symmetric, hermitian=True)
