"""A small model in the first step of its fine-tuning, in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.data.streams import Stream
from jlrun.models.encoders import CNN
from jlrun.models.fusions import Single
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import PhaseStart, StepView, Term
from jlrun.tasks import Binary, Multiclass, Regression, TaskSpec
from tests.toy import CPU, hard_model

T = TypeVar("T", bound=Term)

SPEC = ImageSpec(1, 4, 4, (), ())
WIDTH = 5
SPECS = {
    "digit": TaskSpec("digit", Multiclass(), ("0", "1", "2")),
    "source_letter": TaskSpec("letter", Multiclass(), ("a", "b", "c", "d")),
    "source_even": TaskSpec("even", Binary(), ("no", "yes")),
    "source_height": TaskSpec("height", Regression(), ()),
}


def small_model(norm: bool = False, specs: Mapping[str, TaskSpec] = SPECS) -> JointModel:
    torch.manual_seed(0)
    encoder = CNN(SPEC, channels=[3], hidden=WIDTH)
    if norm:
        encoder.convolutions.append(nn.BatchNorm2d(3))
    heads = {head: Linear(WIDTH, spec.num_outputs) for head, spec in specs.items()}
    return hard_model({"image": encoder}, Single({"image": WIDTH}), heads).double()


def rows(count: int = 12, seed: int = 0) -> TensorRows:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, 1, 4, 4, generator=generator, dtype=torch.float64)
    # Class 2 has no rows.
    return TensorRows({"image": x}, {"digit": torch.arange(count) % 2})


def stream(count: int = 12, name: str = "target", data: TensorRows | None = None) -> Stream:
    return Stream(
        name,
        data or rows(count),
        specs={"image": SPEC},
        batch_size=min(5, count),
        seed=0,
        device=CPU,
        memory_budget=10**6,
    )


def start_of(
    model: JointModel, specs: Mapping[str, TaskSpec] = SPECS, name: str = "target"
) -> PhaseStart:
    return PhaseStart(model, dict(specs), {name: tuple(specs)}, {name: stream(name=name)}, 10)


def begun(term: T, model: JointModel, specs: Mapping[str, TaskSpec] = SPECS) -> T:
    term.begin_phase(start_of(model, specs))
    return term


def batch_of(count: int = 6, seed: int = 1) -> Batch:
    return rows(count, seed).fetch(torch.arange(count))


def view_of(
    model: JointModel,
    batch: Batch | None = None,
    specs: Mapping[str, TaskSpec] = SPECS,
    name: str = "target",
) -> StepView:
    batch = batch_of() if batch is None else batch
    return StepView(
        model,
        {name: batch},
        {name: model(batch, tuple(specs))},
        0.5,
        {head: spec.task for head, spec in specs.items()},
        {name: {"digit": "digit"}},
    )


def moved(model: JointModel, size: float = 0.1) -> JointModel:
    """Move all parameters by random numbers, in place."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in model.parameters():
            p += size * torch.randn(p.shape, generator=generator, dtype=p.dtype)
    return model


def with_labels(batch: Batch, labelled: Tensor) -> Batch:
    return replace(batch, labelled={"digit": labelled})
