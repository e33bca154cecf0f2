"""A model of two modalities and two tasks that trains in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.data.labelled_streams import head_name
from jlrun.data.rows import TensorRows
from jlrun.data.specs import AudioSpec
from jlrun.data.streams import Stream
from jlrun.engine import Engine
from jlrun.models.encoders.base import Encoder
from jlrun.models.fusions import Concat, Fusion, Gated, Late, Single, Transformer
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.models.sharing import Hard
from jlrun.models.trunk import Trunk
from jlrun.objective.balance import Balance
from jlrun.objective.weightings import Equal
from jlrun.runs.building import balance_maker
from jlrun.tasks import Binary, Multiclass, TaskSpec
from jlrun.tasks.objective import Objective
from jlrun.training.learner import Learner, build_learner
from jlrun.training.plan import Phase, Recipe
from jlrun.training.schedules import Cosine
from jlrun.training.stats import StepStats
from jlrun.training.step import train_step
from tests.toy import CPU, hard_model

CONF = Path(__file__).parents[3] / "conf" / "balance"
OPTIONS = sorted(p.stem for p in CONF.glob("*.yaml") if p.stem[0] != "_")
ACTING = [option for option in OPTIONS if option != "none"]
MODALITIES = ("x", "y")
SPEC = AudioSpec(num_samples=4, sample_rate=8000)  # four plain numbers
TASKS = (
    TaskSpec("sign", Binary(), ("minus", "plus")),
    TaskSpec("largest", Multiclass(), ("0", "1", "2", "3")),
)
FUSIONS: dict[str, Callable[[dict[str, int]], Fusion]] = {
    "concat": Concat,
    "gated": Gated,
    "late": Late,
    "transformer": lambda widths: Transformer(widths, width=8, heads=2, depth=1),
}


def node(option: str, **changes: Any) -> dict[str, Any]:
    """Return the config of a balance, as in its YAML but for ``changes``."""
    return yaml.safe_load((CONF / f"{option}.yaml").read_text()) | changes


class SmoothEncoder(Encoder):
    """A layer and a smooth function, without BatchNorm, so that parts of a batch are like it."""

    def __init__(self, width: int = 6, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Dropout(dropout))
        self.out_features = width

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def rows(count: int = 32, seed: int = 0) -> TensorRows:
    """``y`` is ``x`` in noise; each lacks in some rows, and ``largest`` its label in some."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 4, generator=generator)
    y = x + torch.randn(count, 4, generator=generator)
    number = torch.arange(count)
    return TensorRows(
        {"x": x, "y": y},
        {"sign": (x.sum(dim=1) > 0).long(), "largest": x.argmax(dim=1)},
        present={"x": number % 5 != 1, "y": (number % 4 != 2) | (number % 5 == 1)},
        labelled={"largest": number % 3 != 0},
    )


def batch(count: int = 16, seed: int = 0) -> Batch:
    return rows(max(count, 4), seed).fetch(torch.arange(count))


def stream(count: int = 32, seed: int = 0, batch_size: int = 8) -> Stream:
    return Stream(
        "dataset",
        rows(count, seed),
        specs=dict.fromkeys(MODALITIES, SPEC),
        batch_size=batch_size,
        seed=0,
        device=CPU,
        memory_budget=10**6,
    )


def model(
    fusion: str = "concat", tasks: tuple[TaskSpec, ...] = TASKS, dropout: float = 0.0
) -> JointModel:
    torch.manual_seed(0)
    encoders = {"x": SmoothEncoder(6, dropout), "y": SmoothEncoder(5, dropout)}
    fused = FUSIONS[fusion]({"x": 6, "y": 5})
    body = Hard(lambda: Trunk(encoders, fused), tuple(spec.name for spec in tasks))
    heads = {s.name: body.build_head(lambda w, s=s: Linear(w, s.num_outputs)) for s in tasks}
    return JointModel(body, heads)


def one_modality() -> JointModel:
    heads = {spec.name: Linear(6, spec.num_outputs) for spec in TASKS}
    return hard_model({"x": SmoothEncoder()}, Single({"x": 6}), heads)


def sgd(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.SGD(groups, lr=0.1, momentum=0.9)


def phase(
    option: str = "none",
    tasks: tuple[TaskSpec, ...] = TASKS,
    recipe: Mapping[str, Any] | None = None,
    epochs: int = 4,
    **changes: Any,
) -> Phase:
    objectives = tuple(Objective(s.name, "dataset", s, head_name(s)) for s in tasks)
    made = Recipe(
        make_optimizer=sgd,
        make_weighting=Equal,
        terms={},
        schedule=Cosine(),
        term_scale=1.0,
        patience=None,
        make_balance=balance_maker(node(option, **changes)),
    )
    return Phase(
        name="train",
        train={"dataset": stream()},
        val={"dataset": stream(seed=1)},
        objectives=objectives,
        selection=objectives,
        epochs=epochs,
        recipe=replace(made, **(recipe or {})),
        held={"dataset": stream(12, seed=2)},
    )


def begun(the_phase: Phase, the_model: JointModel, engine: Engine | None = None) -> Learner:
    torch.manual_seed(1)
    learner = build_learner(the_model, the_phase, engine or Engine(CPU))
    learner.set_lr(1.0)
    return learner


def step(
    learner: Learner, the_phase: Phase, the_batch: Batch, number: int = 0, parts: int = 1
) -> StepStats:
    torch.manual_seed(number)
    engine = Engine(CPU, accumulate=parts)
    return train_step(learner, the_phase, {"dataset": the_batch}, engine, number)


def state_of(learner: Learner) -> dict[str, Tensor]:
    balance: Balance = learner.balance
    own = {f"balance.{name}": tensor for name, tensor in balance.state_dict().items()}
    return {**learner.model.state_dict(), **own}
