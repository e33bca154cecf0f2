"""A run small enough to train in milliseconds: two linear tasks on four numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.data.specs import AudioSpec
from jlrun.data.streams import Stream
from jlrun.engine import Engine
from jlrun.models.encoders.base import Encoder
from jlrun.models.fusions import Fusion, Single
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.models.sharing import Hard
from jlrun.models.trunk import Trunk
from jlrun.objective.terms.base import Term
from jlrun.objective.weightings import Equal, Weighting
from jlrun.tasks import Binary, Multiclass, TaskSpec
from jlrun.tasks.objective import Objective
from jlrun.training.plan import Phase, Recipe, TermMaker
from jlrun.training.recorder import NullRecorder, Recorder
from jlrun.training.schedules import Cosine
from jlrun.training.spans import TrainContext

CPU = torch.device("cpu")
SPEC = AudioSpec(num_samples=4, sample_rate=8000)  # four plain numbers
TIMED = ("train/samples_per_second", "data/wait_share")  # tags of times, equal in no two runs
TASKS = (
    TaskSpec("sign", Binary(), ("minus", "plus")),
    TaskSpec("largest", Multiclass(), ("0", "1", "2", "3")),
)


class ToyEncoder(Encoder):
    """A layer with BatchNorm and dropout, so that modes and randomness matter."""

    def __init__(self, width: int = 6, dropout: float = 0.2) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout)
        )
        self.out_features = width

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def toy_rows(count: int = 40, seed: int = 0) -> TensorRows:
    x = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed))
    targets = {"sign": (x.sum(dim=1) > 0).long(), "largest": x.argmax(dim=1)}
    return TensorRows({"x": x}, targets)


def toy_stream(name: str = "dataset", rows: TensorRows | None = None, batch: int = 8) -> Stream:
    return Stream(
        name,
        rows or toy_rows(),
        specs={"x": SPEC},
        batch_size=batch,
        seed=0,
        device=CPU,
        memory_budget=10**6,
    )


def toy_model(dropout: float = 0.2) -> JointModel:
    torch.manual_seed(0)
    encoder = ToyEncoder(dropout=dropout)
    heads = {spec.name: Linear(encoder.out_features, spec.num_outputs) for spec in TASKS}
    fusion = Single({"x": encoder.out_features})
    return hard_model({"x": encoder}, fusion, heads)


def hard_model(
    encoders: Mapping[str, Encoder], fusion: Fusion, heads: Mapping[str, nn.Module]
) -> JointModel:
    return JointModel(Hard(lambda: Trunk(encoders, fusion), tuple(heads)), heads)


def toy_objectives(stream: str = "dataset") -> tuple[Objective, ...]:
    return tuple(Objective(spec.name, stream, spec, spec.name) for spec in TASKS)


def sgd(groups: list[dict]) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=1e-3)


def toy_recipe(
    weighting: Callable[[tuple[str, ...]], Weighting] = Equal,
    terms: Callable[[], Mapping[str, Term]] = dict,
    patience: int | None = None,
) -> Recipe:
    return Recipe(sgd, weighting, makers(terms), Cosine(), 1.0, patience)


def makers(terms: Callable[[], Mapping[str, Term]]) -> dict[str, TermMaker]:
    """Return what makes each of ``terms`` afresh."""
    kinds = {name: type(term) for name, term in terms().items()}
    return {name: TermMaker(kind, lambda n=name: terms()[n]) for name, kind in kinds.items()}


def toy_phase(name: str = "train", recipe: Recipe | None = None, epochs: int = 4) -> Phase:
    objectives = toy_objectives()
    return Phase(
        name=name,
        train={"dataset": toy_stream()},
        val={"dataset": toy_stream(rows=toy_rows(seed=1))},
        objectives=objectives,
        selection=objectives,
        epochs=epochs,
        recipe=recipe or toy_recipe(),
    )


class AheadEngine(Engine):
    """Engine that takes the CPU for a device that runs ahead, where a read number costs a wait."""

    runs_ahead = True  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]


@dataclass
class StopAt:
    """Asks to stop after a number of looks."""

    looks: int
    seen: int = field(default=0)

    def __call__(self) -> bool:
        self.seen += 1
        return self.seen == self.looks


def never() -> bool:
    return False


def toy_surroundings(
    interrupted: Callable[[], bool] = never,
    engine: Engine | None = None,
    recorder: Recorder | None = None,
) -> TrainContext:
    return TrainContext(engine or Engine(CPU), recorder or NullRecorder(), 0, 3, interrupted)


def toy_batch(count: int = 8, seed: int = 0) -> Batch:
    return toy_rows(count, seed).fetch(torch.arange(count))
