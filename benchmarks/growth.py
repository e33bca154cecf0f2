"""Step time and memory as the numbers of tasks, modalities, rows and parameters grow.

jlrun's own loop trains a multi-layer perceptron on 64 rows of 8 x 8 gray images a step, each row
with all tasks and modalities; what is not said to grow is one task, one modality, 2,048 rows and
layers of 128 units. An exponent b is fitted to y = a x^b by least squares of the logarithms, with
its standard error: 0 does not grow, 1 grows in proportion. Constant costs make it smaller. Memory
is the peak beyond the program itself, of data, model, optimizer and steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
import yaml

from benchmarks.alternation import Sample, Spread
from benchmarks.loops import JlrunLoop
from benchmarks.memory import peak_of
from benchmarks.multitask import WEIGHTINGS
from jlrun.config.build import build
from jlrun.config.groups import gradient_keys
from jlrun.config.slots import WEIGHTING
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.data.streams import Stream
from jlrun.engine import Engine, session
from jlrun.models.encoders import MLP
from jlrun.models.fusions import Concat, Single
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.models.sharing import Hard
from jlrun.models.trunk import Trunk
from jlrun.tasks import Multiclass, TaskSpec
from jlrun.tasks.objective import Objective
from jlrun.training.plan import Phase, Recipe
from jlrun.training.schedules import Constant

SPEC = ImageSpec(channels=1, height=8, width=8, mean=(0.5,), std=(0.25,))
CLASSES = tuple("0123456789")
BATCH_SIZE, BLOCK = 64, 20  # rows of a step, steps
MEGABYTE = 2**20


@dataclass(frozen=True)
class Size:
    """What is trained.

    Attributes:
        tasks, modalities, rows: their numbers.
        units: of each of the two hidden layers.
        weighting: of the tasks.
    """

    tasks: int = 1
    modalities: int = 1
    rows: int = 2048
    units: int = 128
    weighting: str = "equal"


CASES: dict[str, tuple[Size, ...]] = {
    "tasks": tuple(Size(tasks=count) for count in (1, 2, 4, 8, 16, 32)),
    **{
        f"tasks, {name}": tuple(Size(tasks=n, weighting=name) for n in (2, 4, 8, 16, 32))
        for name in ("pcgrad", "mgda")
    },
    "modalities": tuple(Size(modalities=count) for count in range(1, 7)),
    "rows": tuple(Size(rows=count) for count in (10**4, 3 * 10**4, 10**5, 3 * 10**5, 10**6)),
    "parameters": tuple(Size(units=count) for count in (64, 128, 256, 512, 1024, 2048)),
}


@dataclass
class Growth:
    """What steps take as a number grows.

    Attributes:
        case: what grows.
        unit: what is timed: ``step``, or the order of the rows of an ``epoch``.
        sizes: the number.
        samples: of each size, in every round.
        num_bytes: of each size, at the peak; empty if not measured.
    """

    case: str
    unit: str
    sizes: list[int]
    samples: list[list[Sample]] = field(default_factory=list)
    num_bytes: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        ends = " to ".join(f"{1000 * s:.3g}" for s in (self.seconds()[0], self.seconds()[-1]))
        return f"{self.case}: {ends} ms a {self.unit}, exponent {self.exponent()}"

    def seconds(self, clock: str = "wall") -> list[float]:
        """Return the median seconds of each size."""
        return [Spread.of([getattr(s, clock) for s in each]).median for each in self.samples]

    def exponent(self, clock: str = "wall") -> Exponent:
        """Return that of the time."""
        return Exponent.of(self.sizes, self.seconds(clock))


@dataclass(frozen=True)
class Exponent:
    """b of y = a x^b, with its standard error."""

    value: float
    error: float

    @classmethod
    def of(cls, sizes: Sequence[float], values: Sequence[float]) -> Exponent:
        """Fit it to at least three pairs, by least squares of the logarithms."""
        x, y = [math.log(size) for size in sizes], [math.log(value) for value in values]
        count = len(x)
        mean_x, mean_y = sum(x) / count, sum(y) / count
        spread = sum((a - mean_x) ** 2 for a in x)
        slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
        rest = sum((b - mean_y - slope * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True))
        return cls(slope, math.sqrt(rest / (count - 2) / spread))

    def __str__(self) -> str:
        return f"{self.value:.2f} ± {self.error:.2f}"


def measure(rounds: int, threads: int, names: Sequence[str] = ()) -> Iterator[Growth]:
    """Yield the growth with each number, or of those with ``names``."""
    with session(threads=threads, deterministic=True):
        _few_steps(Size())  # what PyTorch makes once is no part of the memory that grows
        for name, sizes in CASES.items():
            if names and name not in names:
                continue
            yield _grown(name, sizes, rounds)
            if name == "rows":
                yield _orders(sizes, rounds)


def _grown(name: str, sizes: Sequence[Size], rounds: int) -> Growth:
    memory = [peak_of(partial(_few_steps, size)).added for size in sizes]
    most = BLOCK * (rounds + 1)
    numbers = [_number(name, size) for size in sizes]
    loops = [made(size, most) for size in sizes]
    samples = _in_turns([partial(loop.steps, BLOCK) for loop in loops], rounds)
    each = [[sample / BLOCK for sample in samples_of_size] for samples_of_size in samples]
    return Growth(name, "step", numbers, each, memory)


def _orders(sizes: Sequence[Size], rounds: int) -> Growth:
    streams = [_stream(size) for size in sizes]
    samples = _in_turns([partial(stream.order, 0) for stream in streams], rounds)
    return Growth("rows, their order", "epoch", [size.rows for size in sizes], samples)


def _in_turns(work: Sequence[Callable[[], object]], rounds: int) -> list[list[Sample]]:
    """Return for each piece of work its samples; in every round each has a turn."""
    found = [[Sample.of(each) for each in work] for _ in range(rounds + 1)][1:]
    return [list(samples) for samples in zip(*found, strict=True)]


def _few_steps(size: Size) -> None:
    made(size, BLOCK).steps(BLOCK)


def _number(name: str, size: Size) -> int:
    if name == "parameters":
        return sum(p.numel() for p in _model(size).parameters())
    return getattr(size, name.split(",")[0])


def made(size: Size, most: int) -> JlrunLoop:
    """Return a loop of at most ``most`` steps."""
    node = yaml.safe_load((WEIGHTINGS / f"{size.weighting}.yaml").read_text())
    kept = {k: v for k, v in node.items() if k not in gradient_keys() | {"defaults"}}
    recipe = Recipe(
        make_optimizer=torch.optim.AdamW,  # pyright: ignore[reportArgumentType]
        make_weighting=lambda tasks: build(kept, WEIGHTING, tasks),
        terms={},
        schedule=Constant(),
        term_scale=1.0,
        patience=None,
    )
    objectives = tuple(Objective(s.name, "dataset", s, s.name) for s in _tasks(size))
    train = {"dataset": _stream(size)}
    phase = Phase("train", train, {}, objectives, objectives, 1, recipe)
    engine = Engine(torch.device("cpu"))
    return JlrunLoop(engine.prepare(_model(size)), phase, engine, most)


def _tasks(size: Size) -> tuple[TaskSpec, ...]:
    return tuple(TaskSpec(f"task{i}", Multiclass(), CLASSES) for i in range(size.tasks))


def _specs(size: Size) -> dict[str, ImageSpec]:
    return {f"image{i}": SPEC for i in range(size.modalities)}


def _model(size: Size) -> JointModel:
    torch.manual_seed(0)
    hidden = (size.units, size.units)
    widths = dict.fromkeys(_specs(size), size.units)
    fusion = Single(widths) if size.modalities == 1 else Concat(widths)
    heads = {task.name: Linear(fusion.out_features, len(CLASSES)) for task in _tasks(size)}

    def trunk() -> Trunk:
        return Trunk({name: MLP(spec, hidden) for name, spec in _specs(size).items()}, fusion)

    return JointModel(Hard(trunk, tuple(heads)), heads)


def _stream(size: Size) -> Stream:
    draw = torch.Generator().manual_seed(0)
    shape = (size.rows, SPEC.channels, SPEC.height, SPEC.width)
    inputs = {
        name: torch.randint(256, shape, generator=draw, dtype=torch.uint8) for name in _specs(size)
    }
    targets = {
        task.name: torch.randint(len(CLASSES), (size.rows,), generator=draw)
        for task in _tasks(size)
    }
    return Stream(
        "dataset",
        TensorRows(inputs, targets),
        specs=_specs(size),
        batch_size=BATCH_SIZE,
        seed=0,
        device=torch.device("cpu"),
        memory_budget=4 * 2**30,
        channels_last=True,
    )


def tables(found: Sequence[Growth]) -> str:
    """Return what was found as a Markdown table, and the figures of each size."""
    lines = [
        "Medians over rounds in which all sizes had their turn.",
        "",
        "| what grows | from, to | time | exponent | of CPU time | memory, MB | exponent |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in found:
        milliseconds = [1000 * seconds for seconds in each.seconds()]
        cells = [
            each.case,
            f"{each.sizes[0]:,} to {each.sizes[-1]:,}",
            f"{milliseconds[0]:.2f} to {milliseconds[-1]:.2f} ms a{'n' * (each.unit[0] == 'e')} "
            f"{each.unit}",
            *(str(each.exponent(clock)) for clock in ("wall", "cpu")),
            *_memory(each),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _memory(growth: Growth) -> tuple[str, str]:
    if not growth.num_bytes:
        return "", ""
    ends = (growth.num_bytes[0] / MEGABYTE, growth.num_bytes[-1] / MEGABYTE)
    return "{:.1f} to {:.1f}".format(*ends), str(Exponent.of(growth.sizes, growth.num_bytes))
