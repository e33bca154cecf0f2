"""Phases small enough to begin terms in: images, waves, or features as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from jlrun.data.augmentation.views import Views
from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.data.specs import AudioSpec, ImageSpec, Spec
from jlrun.data.streams import Stream
from jlrun.models.encoders import MLP, ViT
from jlrun.models.encoders.base import Encoder
from jlrun.models.fusions import Single
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import PhaseStart, StepView, Term
from jlrun.objective.terms.self_supervised import (
    BYOL,
    MAE,
    BarlowTwins,
    LeJEPA,
    Rotation,
    SimCLR,
    SupCon,
    VICReg,
)
from jlrun.tasks import Multiclass, TaskSpec
from tests.toy import CPU, ToyEncoder, hard_model

SPEC = ImageSpec(3, 8, 8, (0.5,) * 3, (0.25,) * 3)
WAVE = AudioSpec(num_samples=4, sample_rate=8000)
DIGIT = TaskSpec("digit", Multiclass(), ("0", "1", "2"))

# Every term at a size for tests.
TERMS = {
    "simclr": lambda: SimCLR(hidden=16, out_features=8),
    "supcon": lambda: SupCon(hidden=16, out_features=8),
    "barlow": lambda: BarlowTwins(hidden=16, out_features=8),
    "vicreg": lambda: VICReg(hidden=16, out_features=8),
    "byol": lambda: BYOL(hidden=16, out_features=8),
    "lejepa": lambda: LeJEPA(hidden=16, out_features=8, num_slices=32),
    "mae": lambda: MAE(width=16, heads=2, depth=1),
    "rotation": Rotation,
}
OF_IMAGES = ("mae", "rotation")

SomeTerm = TypeVar("SomeTerm", bound=Term)


class Convolutional(Encoder):
    """Convolution, BatchNorm and average."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.out_features = width

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).mean(dim=(2, 3))


class Maps(Convolutional):
    """Features for dense tasks."""

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


ENCODERS = {
    "convolutional": Convolutional,
    "maps": Maps,
    "mlp": lambda: MLP(SPEC, hidden=[6]),
    "vit": lambda: ViT(SPEC, patch=2, width=8, depth=1, heads=2),
    "vit without token": lambda: ViT(SPEC, patch=2, width=8, depth=1, heads=2, pool="mean"),
}


def model_of(encoder: Encoder, modality: str = "image") -> JointModel:
    heads = {"digit": Linear(encoder.out_features, 3)}
    return hard_model({modality: encoder}, Single({modality: encoder.out_features}), heads)


def image_model(name: str = "convolutional") -> JointModel:
    torch.manual_seed(0)
    return model_of(ENCODERS[name]())


def wave_model() -> JointModel:
    torch.manual_seed(0)
    return model_of(ToyEncoder(dropout=0), "wave")


def rows_of(kind: str, count: int, seed: int = 0) -> TensorRows:
    generator = torch.Generator().manual_seed(seed)
    digits = torch.arange(count) % 3
    if kind == "wave":
        return TensorRows({"wave": torch.randn(count, 4, generator=generator)}, {"digit": digits})
    images = torch.randint(0, 256, (count, 3, 8, 8), generator=generator).to(torch.uint8)
    return TensorRows({"image": images}, {"digit": digits})


def stream_of(
    name: str, rows: TensorRows, batch: int = 6, labelled: bool = True, spec: Spec | None = None
) -> Stream:
    (modality,) = rows.fetch(torch.arange(1)).inputs
    return Stream(
        name,
        rows,
        specs={modality: spec or (WAVE if modality == "wave" else SPEC)},
        batch_size=batch,
        seed=0,
        device=CPU,
        views=Views(),
        labelled=labelled,
        memory_budget=10**6,
    )


def start_of(
    model: JointModel,
    streams: Sequence[Stream],
    observed: Mapping[str, Sequence[str]] | None = None,
) -> PhaseStart:
    return PhaseStart(
        model=model,
        tasks={"digit": DIGIT},
        observed=observed or {},
        streams={stream.name: stream for stream in streams},
        num_steps=10,
    )


def begun(term: SomeTerm, model: JointModel, *streams: Stream, seed: int = 1) -> SomeTerm:
    torch.manual_seed(seed)
    term.begin_phase(start_of(model, streams))
    return term


def step_view(model: nn.Module, *streams: Stream, progress: float = 0.5) -> StepView:
    batches = {stream.name: next(stream.batches(0, 1)) for stream in streams}
    return StepView(model, batches, {}, progress)


class Given(nn.Module):
    """A model whose features are its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))

    def encode(self, batch: Batch) -> Tensor:
        return batch.inputs["x"]


def given(first: Tensor, second: Tensor, targets: Mapping[str, Tensor] | None = None) -> StepView:
    """Return a step whose two views have these features ``(N, D)``."""
    views = ({"x": first}, {"x": second})
    batch = Batch({"x": first}, dict(targets or {}), views=views)
    return StepView(Given(), {"dataset": batch}, {}, 0.5)


def without_projector(term: SomeTerm) -> SomeTerm:
    """Return the term on the features themselves."""
    term.projector = nn.Identity()
    return term
