"""A step on sources and a target, in float64: features and logits are leaves, or a model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from jlrun.models.joint_model import JointModel, Outputs
from jlrun.objective.terms.base import PhaseStart, StepView, Term
from jlrun.tasks import Binary, Multiclass, Regression, TaskSpec
from tests.toy import CPU, hard_model

T = TypeVar("T", bound=Term)

SPEC = ImageSpec(1, 6, 6, (), ())
WIDTH = 4
SPECS = {
    "digit": TaskSpec("digit", Multiclass(), ("0", "1", "2")),
    "even": TaskSpec("even", Binary(), ("no", "yes")),
    "height": TaskSpec("height", Regression(), ()),
}
TASKS = {head: spec.task for head, spec in SPECS.items()}
PAIR = ("source", "target")
DIGIT = {"digit": SPECS["digit"]}


def small_model(norm: bool = False, specs: Mapping[str, TaskSpec] = SPECS) -> JointModel:
    torch.manual_seed(0)
    encoder = CNN(SPEC, channels=[3], hidden=WIDTH)
    if norm:
        encoder.convolutions.append(nn.BatchNorm2d(3))
    heads = {head: Linear(WIDTH, spec.num_outputs) for head, spec in specs.items()}
    return hard_model({"image": encoder}, Single({"image": WIDTH}), heads).double()


def rows(count: int, seed: int) -> TensorRows:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(count, 1, 6, 6, generator=generator, dtype=torch.float64)
    return TensorRows({"image": x + seed / 10}, {"digit": torch.arange(count) % 3})


def stream(
    name: str, count: int = 13, batch_size: int = 5, data: TensorRows | None = None
) -> Stream:
    return Stream(
        name,
        data or rows(count, seed=len(name)),
        specs={"image": SPEC},
        batch_size=batch_size,
        seed=0,
        device=CPU,
        memory_budget=10**6,
    )


def start_of(
    model: JointModel,
    names: Sequence[str] = PAIR,
    specs: Mapping[str, TaskSpec] = SPECS,
    observed: Mapping[str, Sequence[str]] | None = None,
) -> PhaseStart:
    if observed is None:
        observed = dict.fromkeys(names, tuple(specs))
    streams = {name: stream(name) for name in observed}
    return PhaseStart(model, dict(specs), observed, streams, 10)


def begun(
    term: T,
    names: Sequence[str] = PAIR,
    specs: Mapping[str, TaskSpec] = SPECS,
    model: JointModel | None = None,
) -> T:
    torch.manual_seed(1)
    term.begin_phase(start_of(model or small_model(specs=specs), names, specs))
    return term


def drawn_outputs(
    count: int, seed: int, specs: Mapping[str, TaskSpec] = SPECS, width: int = WIDTH
) -> Outputs:
    """Return features and logits that are leaves of the graph."""
    generator = torch.Generator().manual_seed(seed)

    def draw(size: int) -> Tensor:
        x = torch.randn(count, size, generator=generator, dtype=torch.float64)
        return ((1 + seed / 5) * x).requires_grad_()

    return Outputs({}, draw(width), {head: draw(spec.num_outputs) for head, spec in specs.items()})


def view_of(outputs: Mapping[str, Outputs], progress: float = 0.5) -> StepView:
    """Return a view of given outputs, with an idle model and empty inputs."""
    batches = {
        name: Batch({"image": torch.zeros(len(o.fused), 1, 6, 6, dtype=torch.float64)})
        for name, o in outputs.items()
    }
    return StepView(nn.Linear(1, 1).double(), batches, outputs, progress, TASKS)


def drawn_view(
    sizes: Mapping[str, int] | None = None,
    progress: float = 0.5,
    specs: Mapping[str, TaskSpec] = SPECS,
) -> StepView:
    sizes = sizes or {"source": 5, "target": 7}
    made = {name: drawn_outputs(n, i, specs) for i, (name, n) in enumerate(sizes.items())}
    return view_of(made, progress)


def model_view(model: JointModel, sizes: Mapping[str, int], progress: float = 0.5) -> StepView:
    """Return a view of the model's outputs on rows of its own for each stream."""
    batches = {
        n: rows(c, i).fetch(torch.arange(c)).without_labels()
        for i, (n, c) in enumerate(sizes.items())
    }
    outputs = {name: model(batch) for name, batch in batches.items()}
    return StepView(model, batches, outputs, progress, TASKS)


def number(x: Tensor) -> float:
    return float(x.detach())
