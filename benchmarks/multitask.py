"""Step time and peak memory of every weighting, as ratios to a hand-written sum of losses.

    python benchmarks/multitask.py [--tasks 2,4,8] [--weightings mgda,nash] [--rounds 15]
                                   [--device cuda]

The model is a small CNN (two convolutions of 16 and 32 channels, 128 features) with T linear heads
of ten classes on 64 images of 28 × 28 pixels, under Adam. A round times a few steps of the plain
loop (forward, sum, backward, step: what one writes by hand) and of each method in turn; the figure
is the median over rounds of the ratio within a round, so that a machine whose speed changes does
not favour anybody. Memory is what steps need beyond the model and its data, at its peak: of the
device, or of the resident memory of a forked process. `parameters` compares with TorchJD's own way
on the same model and method (`mtl_backward` and `jac_to_grad`).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch
import yaml
from torch import nn

from benchmarks.memory import resident
from jlrun.config.build import build
from jlrun.config.groups import gradient_keys
from jlrun.config.slots import WEIGHTING
from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.data.streams import Stream
from jlrun.engine import Engine
from jlrun.models.encoders import CNN, Torchvision
from jlrun.models.encoders.base import Encoder
from jlrun.models.fusions import Single
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.models.sharing import Hard
from jlrun.models.trunk import Trunk
from jlrun.objective.weightings import GradientWeighting
from jlrun.objective.weightings.base import GradientOptions
from jlrun.ranks.world import ALONE, World
from jlrun.tasks import Multiclass, TaskSpec
from jlrun.tasks.objective import Objective
from jlrun.training.learner import build_learner
from jlrun.training.plan import Phase, Recipe
from jlrun.training.schedules import Constant
from jlrun.training.step import train_step

WEIGHTINGS = Path(__file__).parents[1] / "conf" / "weighting"
ROWS, CLASSES, STEPS = 64, 10, 4
AGAINST_TORCHJD = {"mgda": "MGDA", "pcgrad": "PCGrad", "imtl_g": "IMTLG", "aligned": "AlignedMTL"}
NCHW = torch.contiguous_format

Step = Callable[[], object]


@dataclass(frozen=True)
class Network:
    """Network and batch of a step.

    Attributes:
        spec: of the images.
        rows: of a batch.
        encoder: makes the encoder of images.
    """

    spec: ImageSpec
    rows: int
    encoder: Callable[[ImageSpec], Encoder]


SMALL = Network(
    ImageSpec(channels=1, height=28, width=28, mean=(0.5,), std=(0.5,)),
    ROWS,
    partial(CNN, channels=(16, 32), hidden=128),
)
RESNET18 = Network(
    ImageSpec(channels=3, height=32, width=32, mean=(0.5,) * 3, std=(0.5,) * 3),
    128,
    partial(Torchvision, name="resnet18"),
)


def specs(num_tasks: int) -> tuple[TaskSpec, ...]:
    classes = tuple(str(i) for i in range(CLASSES))
    return tuple(TaskSpec(f"task{i}", Multiclass(), classes) for i in range(num_tasks))


def make_model(
    num_tasks: int,
    device: torch.device,
    layout: torch.memory_format = NCHW,
    network: Network = SMALL,
) -> JointModel:
    torch.manual_seed(0)
    encoder = network.encoder(network.spec)
    width = encoder.out_features
    heads = {spec.name: Linear(width, CLASSES) for spec in specs(num_tasks)}
    fusion = Single({"image": width})
    model = JointModel(Hard(lambda: Trunk({"image": encoder}, fusion), tuple(heads)), heads)
    return model.to(device).to(memory_format=layout)  # pyright: ignore[reportCallIssue]


def make_batch(
    num_tasks: int,
    device: torch.device,
    layout: torch.memory_format = NCHW,
    network: Network = SMALL,
) -> Batch:
    generator = torch.Generator().manual_seed(0)
    spec, rows = network.spec, network.rows
    images = torch.randn(rows, spec.channels, spec.height, spec.width, generator=generator)
    targets = {
        spec.name: torch.randint(CLASSES, (rows,), generator=generator) for spec in specs(num_tasks)
    }
    return Batch({"image": images.contiguous(memory_format=layout)}, targets).to(device)


class PlainModel(nn.Module):
    """The model as written by hand: logits of all heads."""

    def __init__(self, model: JointModel) -> None:
        super().__init__()
        self.encoder = model.body.trunk.encoders["image"]
        self.heads = model.heads

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        features = self.encoder(images)
        return [head(features) for head in self.heads.values()]


def plain_step(
    num_tasks: int,
    device: torch.device,
    layout: torch.memory_format = NCHW,
    network: Network = SMALL,
    world: World = ALONE,
) -> Step:
    """The loop as written by hand; on several ranks with PyTorch's DistributedDataParallel."""
    model: nn.Module = PlainModel(make_model(num_tasks, device, layout, network))
    batch = make_batch(num_tasks, device, layout, network)
    if world.several:
        batch = batch.part(*world.bounds(batch.size))
        model = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    optimizer = torch.optim.Adam(model.parameters())

    def step() -> None:
        optimizer.zero_grad()
        logits = model(batch.inputs["image"])
        losses = [
            nn.functional.cross_entropy(found, target)
            for found, target in zip(logits, batch.targets.values(), strict=True)
        ]
        torch.stack(losses).sum().backward()
        optimizer.step()

    return step


def our_step(
    name: str,
    num_tasks: int,
    device: torch.device,
    source: str | None = None,
    layout: torch.memory_format = NCHW,
    world: World = ALONE,
    network: Network = SMALL,
    sync_batchnorm: bool = True,
) -> Step:
    """The step of a run with the weighting called ``name``, on one rank of ``world``."""
    model = make_model(num_tasks, device, layout, network)
    batch = make_batch(num_tasks, device, layout, network)
    node = yaml.safe_load((WEIGHTINGS / f"{name}.yaml").read_text())
    gradient_options = {key: node.pop(key) for key in gradient_keys() & node.keys()}
    node.pop("defaults", None)
    rows = TensorRows({"image": batch.inputs["image"].cpu()}, dict(batch.targets))
    stream = Stream(
        "dataset", rows, specs={"image": network.spec}, batch_size=network.rows, seed=0,
        device=device, memory_budget=0,
    )  # fmt: skip
    objectives = tuple(Objective(s.name, "dataset", s, s.name) for s in specs(num_tasks))
    recipe = Recipe(
        make_optimizer=torch.optim.Adam,  # pyright: ignore[reportArgumentType]
        make_weighting=lambda tasks: build(node, WEIGHTING, tasks),
        terms={},
        schedule=Constant(),
        term_scale=1.0,
        patience=None,
        gradient_options=GradientOptions(
            **(gradient_options | ({"gradients": source} if source else {}))
        ),
    )
    phase = Phase("train", {"dataset": stream}, {}, objectives, objectives, 10**6, recipe)
    engine = Engine(device, world=world, sync_batchnorm=sync_batchnorm)
    learner = build_learner(model, phase, engine)
    numbers = iter(range(10**6))
    return lambda: train_step(learner, phase, {"dataset": batch}, engine, next(numbers))


def torchjd_step(name: str, num_tasks: int, device: torch.device) -> Step:
    """The same with TorchJD's own way from losses to gradients."""
    from torchjd import aggregation
    from torchjd.autojac import jac_to_grad, mtl_backward

    model, batch = make_model(num_tasks, device), make_batch(num_tasks, device)
    trunk = model.body.trunk.encoders["image"]
    optimizer = torch.optim.Adam(model.parameters())
    aggregator = getattr(aggregation, AGAINST_TORCHJD[name])()
    shared = list(model.body.parameters())

    def step() -> None:
        optimizer.zero_grad()
        features = trunk(batch.inputs["image"])
        losses = [
            nn.functional.cross_entropy(model.heads[task](features), target)
            for task, target in batch.targets.items()
        ]
        mtl_backward(losses, features=features)
        jac_to_grad(shared, aggregator)
        optimizer.step()

    return step


def ratios(steps: dict[str, Step], rounds: int, device: torch.device) -> dict[str, float]:
    """Return name -> median over rounds of its time over that of ``plain`` in the same round."""
    for step in steps.values():
        for _ in range(3):
            step()
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        seconds = {name: _seconds(step, device) for name, step in steps.items()}
        # Timed before and after the others: what both have in common is the machine's speed.
        plain = (seconds["plain"] + _seconds(steps["plain"], device)) / 2
        for name, value in seconds.items():
            found[name].append(value / plain)
    return {name: median(values) for name, values in found.items()}


def _seconds(step: Step, device: torch.device) -> float:
    # On a CPU the time of the process, which runs one thread: others on the machine don't count.
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    _wait(device)
    start = clock()
    for _ in range(STEPS):
        step()
    _wait(device)
    return clock() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_bytes(make: Callable[[], Step], device: torch.device) -> int:
    """Return the bytes that steps need at their peak beyond what is there before the first."""
    if device.type == "cuda":
        step = make()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        for _ in range(3):
            step()
        return torch.cuda.max_memory_allocated(device) - before
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        step = make()
        before = resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the high-water mark
        for _ in range(3):
            step()
        os.write(writer, str(resident("VmHWM") - before).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as file:
        return int(file.read())


def routes_of(name: str) -> tuple[str | None, ...]:
    """Return the sources of task gradients that a weighting can have; None: it looks at losses."""
    node = yaml.safe_load((WEIGHTINGS / f"{name}.yaml").read_text())
    kept = {k: v for k, v in node.items() if k not in gradient_keys() | {"defaults"}}
    weighting = build(kept, WEIGHTING, ("a", "b"))
    if not isinstance(weighting, GradientWeighting):
        return (None,)
    return weighting.sources


def row(name: str, source: str | None, columns: list[str]) -> str:
    return f"| {name} | {source or 'losses'} | " + " | ".join(columns) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", default="2,4,8,16")
    parser.add_argument("--weightings", default=None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(arguments.device)
    counts = [int(count) for count in arguments.tasks.split(",")]
    every = sorted(f.stem for f in WEIGHTINGS.glob("*.yaml") if not f.stem.startswith("_"))
    names = arguments.weightings.split(",") if arguments.weightings else every
    routes = [(name, source) for name in names for source in routes_of(name)]
    routes.sort(key=lambda pair: (pair[1] or "", pair[0]))
    cells: dict[tuple[str, str | None], list[str]] = {pair: [] for pair in routes}
    for count in counts:
        memory = {"plain": peak_bytes(partial(plain_step, count, device), device)}
        for name, source in routes:
            memory[f"{name} {source}"] = peak_bytes(
                partial(our_step, name, count, device, source), device
            )
        steps: dict[str, Step] = {"plain": plain_step(count, device)}
        steps |= {f"{n} {s}": our_step(n, count, device, s) for n, s in routes}
        theirs = [n for n, s in routes if s == "parameters" and n in AGAINST_TORCHJD]
        steps |= {f"{n} torchjd": torchjd_step(n, count, device) for n in theirs}
        times = ratios(steps, arguments.rounds, device)
        for name, source in routes:
            key = f"{name} {source}"
            cell = f"{times[key]:.2f} / {memory[key] / max(1, memory['plain']):.2f}"
            if source == "parameters" and name in theirs:
                cell += f" (TorchJD {times[f'{name} torchjd']:.2f})"
            cells[name, source].append(cell)
    print(f"time / memory as ratios to the plain sum; {arguments.rounds} rounds, {device}\n")
    print(row("weighting", "gradients of", [f"T = {count}" for count in counts]))
    print("|" + "---|" * (2 + len(counts)))
    for name, source in routes:
        print(row(name, source, cells[name, source]))


if __name__ == "__main__":
    main()
