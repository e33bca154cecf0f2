"""Toy problem of multi-task learning: two losses of two numbers, to compare methods.

Section 5 of Liu et al., "Conflict-Averse Gradient Descent for Multi-task Learning", NeurIPS 2021,
with the first loss scaled as in Navon et al., "Multi-Task Learning as a Bargaining Game", ICML
2022. With s = tanh, c₁ = max(s(x₂/2), 0) and c₂ = max(s(−x₂/2), 0), which are never both positive:

    f₁ = (c₁ [log max(|½(−x₁ − 7) − s(−x₂)|, 5e-6) + 6]
          + c₂ [((−x₁ + 7)² + 0.1 (−x₂ − 8)²) / 10 − 20]) / 10
    f₂ =  c₁ [log max(|½(−x₁ + 3) + s(−x₂) + 2|, 5e-6) + 6]
          + c₂ [((−x₁ − 7)² + 0.1 (−x₂ − 8)²) / 10 − 20]

Above x₂ = 0 each loss has a narrow curved valley in which gradients conflict and methods get stuck;
below it the Pareto front runs from the minimum of f₂ at x₁ = −7 to that of f₁ at x₁ = 7, at
x₂ ≈ −8.4.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.rows import TensorRows
from jlrun.data.specs import AudioSpec
from jlrun.ranges import PositiveInt
from jlrun.tasks import Task
from jlrun.tasks.base import Metric

TASKS = ("f1", "f2")
FLOOR = 5e-6  # keeps the logarithms finite in the valleys
SCALE = 0.1  # of f₁ against f₂


def toy_losses(x: Tensor) -> Tensor:
    """Return f₁ and f₂, ``(..., 2)``, at points ``(..., 2)``."""
    x1, x2 = x[..., 0], x[..., 1]
    c1, c2 = _positive_part((x2 / 2).tanh()), _positive_part((-x2 / 2).tanh())
    valley1 = (0.5 * (-x1 - 7) - (-x2).tanh()).abs().clamp(min=FLOOR).log() + 6
    valley2 = (0.5 * (-x1 + 3) + (-x2).tanh() + 2).abs().clamp(min=FLOOR).log() + 6
    bowl1 = ((-x1 + 7).square() + 0.1 * (-x2 - 8).square()) / 10 - 20
    bowl2 = ((-x1 - 7).square() + 0.1 * (-x2 - 8).square()) / 10 - 20
    return torch.stack([SCALE * (c1 * valley1 + c2 * bowl1), c1 * valley2 + c2 * bowl2], dim=-1)


def _positive_part(x: Tensor) -> Tensor:
    # With a slope at 0, unlike relu: one of the starts has x₂ = 0 and would stay there.
    return torch.where(x >= 0, x, 0.0)


def load_mtl_toy(steps_per_epoch: PositiveInt = 100) -> Dataset:
    """Return empty rows, for a model whose output is the point itself.

    Args:
        steps_per_epoch: number of training rows, for batches of one row.

    Returns:
        point float32 ``(1,)``, always 0; tasks ``f1`` and ``f2``, whose targets are ignored.
    """
    return Dataset(
        train=_empty_rows(steps_per_epoch),
        val=_empty_rows(1),
        test=_empty_rows(1),
        # One silent sample: the smallest possible input.
        modalities={"point": AudioSpec(num_samples=1, sample_rate=1)},
        classes=dict.fromkeys(TASKS, ()),
    )


def _empty_rows(count: int) -> TensorRows:
    targets = {name: torch.zeros(count) for name in TASKS}
    return TensorRows({"point": torch.zeros(count, 1)}, targets)


class ToyTask(Task):
    """Minimise f₁ or f₂ of the point that the model yields instead of logits, ``(B, 2)``.

    Args:
        function: which of the two.
    """

    primary = "loss"

    def __init__(self, function: Literal["f1", "f2"]) -> None:
        self.function = function

    def num_outputs(self, classes: tuple[str, ...]) -> int:
        return 2

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        return toy_losses(logits)[:, TASKS.index(self.function)]

    def probabilities(self, logits: Tensor) -> Tensor:
        return logits

    def decide(self, probabilities: Tensor) -> Tensor:
        """Return the loss of each row, as there is nothing to predict."""
        return self.loss(probabilities, probabilities[:, 0])

    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        from jlrun.data.datasets.mtl_toy_metrics import MeanOfColumn

        return {"x1": MeanOfColumn(0), "x2": MeanOfColumn(1)}

    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        return ""
