"""Two or three sources with labels, in float64."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.specs import ImageSpec
from jlrun.models.encoders import MLP
from jlrun.models.fusions import Single
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import StepView
from jlrun.tasks import Binary, Multiclass
from tests.toy import hard_model

TASKS = {"digit": Multiclass(), "even": Binary()}


def source_model() -> JointModel:
    torch.manual_seed(0)
    heads = {"digit": Linear(5, 3), "even": Linear(5, 1)}
    encoder = MLP(ImageSpec(1, 2, 3, (), ()), hidden=[5])
    return hard_model({"image": encoder}, Single({"image": 5}), heads).double()


def source_batch(count: int, seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, 1, 2, 3, generator=generator, dtype=torch.float64)
    digit = torch.randint(3, (count,), generator=generator)
    return Batch({"image": x}, {"digit": digit, "even": (digit + seed) % 2})


def source_view(
    model: JointModel,
    batches: Mapping[str, Batch] | None = None,
    progress: float = 0.5,
    heads: tuple[str, ...] = ("digit",),
) -> StepView:
    """Return a view of sources ``a``, ``b``, … and of whatever else is named."""
    if batches is None:
        batches = {name: source_batch(n, n) for name, n in (("a", 4), ("b", 7), ("c", 5))}
    return StepView(
        model,
        batches,
        {name: model(batch) for name, batch in batches.items()},
        progress,
        TASKS,
        {name: {head: head for head in heads} for name in batches if name != "target"},
    )


def risk(model: JointModel, batch: Batch, scale: Tensor | float = 1.0) -> Tensor:
    """Return the mean loss of the digits, on logits times ``scale``."""
    logits = model(batch).logits["digit"] * scale
    return torch.nn.functional.cross_entropy(logits, batch.targets["digit"])
