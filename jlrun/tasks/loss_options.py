"""Options of losses: class weights, focal loss, robust and quantile regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt, Lt
from torch import Tensor
from torch.nn import functional as F

from jlrun.errors import UserError, did_you_mean
from jlrun.ranges import Fraction, NonNegativeFloat, PositiveFloat


@dataclass(frozen=True)
class ClassLoss:
    """Options of the loss of a task with classes.

    Attributes:
        class_weights: factor of the loss of each class, by its name, 1 for a class without an
            entry; ``auto``: in inverse proportion to its training rows, so that the mean over them
            is 1; None: 1 for all.
        focal: γ of the focal loss, (1 − p)^γ times the loss, p the probability of the true class
            (Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, eq. 4).
        label_smoothing: share of the target spread evenly over the classes of a yes-or-no task.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}  # a misspelt key is refused

    class_weights: Literal["auto"] | dict[str, NonNegativeFloat] | None = None
    focal: NonNegativeFloat = 0.0
    label_smoothing: Fraction = 0.0


@dataclass(frozen=True)
class NumberLoss:
    """Options of the loss of a regression, in the units in which it is learned.

    Attributes:
        kind: ``squared``; ``absolute``; ``huber``: squared up to ``delta``, and a line beyond it
            (Huber, "Robust Estimation of a Location Parameter", 1964); ``quantile``: the pinball
            loss, whose best prediction is a quantile of the target (Koenker and Bassett,
            "Regression Quantiles", 1978).
        delta: of ``huber``, 1 unless given.
        quantile: of ``quantile``, 0.5 unless given.

    Raises:
        ValueError: for an option of another kind.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}  # a misspelt key is refused

    kind: Literal["squared", "absolute", "huber", "quantile"] = "squared"
    delta: PositiveFloat | None = None
    quantile: Annotated[float, Gt(0), Lt(1)] | None = None

    def __post_init__(self) -> None:
        for option, kind in (("delta", "huber"), ("quantile", "quantile")):
            if getattr(self, option) is not None and self.kind != kind:
                raise ValueError(
                    f"has '{option}', which kind: {self.kind} does not use: write kind: {kind}, or "
                    "leave it out"
                )

    def __call__(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row, ``(B,)``."""
        match self.kind:
            case "squared":
                return F.mse_loss(outputs, target, reduction="none")
            case "absolute":
                return F.l1_loss(outputs, target, reduction="none")
            case "huber":
                return F.huber_loss(outputs, target, reduction="none", delta=self.delta or 1.0)
            case "quantile":
                error, q = target - outputs, self.quantile or 0.5
                return torch.maximum(q * error, (q - 1) * error)


def balanced_weights(labels: Tensor, num_classes: int) -> tuple[float, ...]:
    """Return N / (C n_c) for class c with n_c of the N labels; 0 for a class without any."""
    counts = torch.bincount(labels, minlength=num_classes).double()
    used = (counts > 0).sum()
    weights = torch.where(counts > 0, counts.sum() / (used * counts.clamp(min=1)), 0.0)
    return tuple(weights.tolist())


def given_weights(
    weights: Mapping[str, float], classes: Sequence[str], where: str
) -> tuple[float, ...]:
    """Return the weight of each class, 1 where none is given.

    Raises:
        UserError: for a name that is no class, and if no class has a weight above 0.
    """
    unknown = [name for name in weights if name not in classes]
    if unknown:
        hint = did_you_mean(unknown[0], classes[:10])
        raise UserError.of(where, f"there is no class '{unknown[0]}'.{hint}")
    found = tuple(float(weights.get(name, 1.0)) for name in classes)
    if not any(found):
        raise UserError.of(where, "all are 0, so that nothing would be learned; raise one of them")
    return found


def weighted(losses: Tensor, labels: Tensor, weights: Sequence[float]) -> Tensor:
    """Return losses ``(B,)`` times the weights of their labels ``(B,)``."""
    return losses * losses.new_tensor(weights)[labels] if weights else losses


def focal_factor(log_probability: Tensor, gamma: float) -> Tensor | float:
    """Return (1 − p)^γ of the true class's log-probability ``(B,)``; 1 without γ."""
    return (-torch.expm1(log_probability)).clamp(min=1e-12) ** gamma if gamma else 1.0
