"""The closed form of zero-shot learning."""

# D features, A attributes, N rows, z seen classes
# X features (N, D);  Y (N, z), 1 at the row's class, else `negative`;  S class vectors (z, A)
# V (D, A) compatibility;  γ, λ strengths

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from jlrun.data.streams import Stream
from jlrun.errors import UserError
from jlrun.models.class_vectors import Normalization
from jlrun.models.heads.embedding import described
from jlrun.models.heads.vectors import check_vectors
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import PhaseStart, StepView, Term, no_loss
from jlrun.ranges import PositiveInt
from jlrun.strategies.zero_shot.classes import ClassSplit
from jlrun.strategies.zero_shot.methods import ESZSL


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
