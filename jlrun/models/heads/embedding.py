"""Embedding head: scores classes by their class vectors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.errors import UserError
from jlrun.models.class_vectors import Normalization, check_distinct, class_vectors, normalized
from jlrun.models.heads.vectors import check_vectors
from jlrun.ranges import PositiveFloat, PositiveInt

WHERE = "heads.attributes"


class Embedding(nn.Module):
    """Logits ``(B, K)``: ``scale · ⟨W f, φ(c)⟩`` of features f ``(B, D)`` and class vectors φ.

    The bilinear compatibility of Frome et al., "DeViSE: A Deep Visual-Semantic Embedding Model",
    NeurIPS 2013, and Akata et al., "Label-Embedding for Image Classification", TPAMI 2016; with
    ``cosine`` the angle of both, as in Radford et al., "Learning Transferable
    Visual Models From Natural Language Supervision", ICML 2021. W transfers between classes:
    classes without training rows are scored too. Differs from them in: nothing. The logit of a task
    with one output and two classes is that of their difference φ(1) − φ(0). Features of zeros have
    logits 0.

    Args:
        in_features: D, width of the features.
        out_features: number of logits.
        classes: the K names of the classes.
        attributes: where φ comes from, as in `jlrun.models.class_vectors.class_vectors`.
        normalize: normalisation of φ: none, unit length (``l2``), or unit length after subtracting
            the mean over classes (``centred``).
        cosine: whether W f and φ(c) are divided by their lengths.
        scale: the (first) scale.
        learn_scale: whether the scale is a parameter.

    Raises:
        UserError: if the task has no classes, or their vectors are missing, wrong or equal.
    """

    class_vectors: Tensor  # (K, A)

    def __init__(
        self,
        in_features: PositiveInt,
        out_features: PositiveInt,
        *classes: str,
        attributes: str | dict[str, Any] = "words",
        normalize: Normalization = "centred",
        cosine: bool = True,
        scale: PositiveFloat = 16.0,
        learn_scale: bool = True,
    ) -> None:
        super().__init__()
        vectors = described(classes, out_features, attributes, normalize)
        self.weight = nn.Parameter(torch.randn(vectors.shape[1], in_features) / in_features**0.5)
        self.scale = nn.Parameter(torch.tensor(float(scale)), requires_grad=learn_scale)
        self.cosine = cosine
        self.register_buffer("class_vectors", F.normalize(vectors) if cosine else vectors)

    def forward(self, features: Tensor) -> Tensor:
        check_vectors(features)
        embedded = F.linear(features, self.weight)
        if self.cosine:
            embedded = F.normalize(embedded)
        return self.scale * F.linear(embedded, self.class_vectors)


def described(
    classes: tuple[str, ...],
    out_features: int,
    attributes: str | dict[str, Any],
    normalize: Normalization,
) -> Tensor:
    """Return the vector of each output, ``(out_features, A)``.

    Raises:
        UserError: as `Embedding`.
    """
    binary = out_features == 1 and len(classes) == 2
    if not binary and (len(classes) < 2 or len(classes) != out_features):
        raise UserError.of(
            "heads",
            f"this head scores classes by their vectors, but a task has {len(classes)} classes and "
            f"{out_features} outputs; choose tasks with classes by tasks=[…], or heads=linear",
        )
    vectors = normalized(class_vectors(attributes, classes, WHERE).values, normalize)
    check_distinct(vectors, classes, WHERE)
    return vectors[1:] - vectors[:1] if binary else vectors
