"""Ranks: the bytes that each weighting moves in a step, and the speed of two ranks.

The model, rows and steps are those of `benchmarks/multitask.py`: a small CNN with heads of ten
classes on 64 images of 28 x 28 pixels. Two processes of one thread take the steps over gloo; bytes
are counted in the collectives that jlrun calls (`jlrun.ranks.calls`). `benchmarks/traffic.py` has
the model that they are compared with, and that is taken on to more ranks.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from benchmarks import report, traffic
from benchmarks.alternation import Comparison, Sample
from benchmarks.multitask import (
    RESNET18,
    ROWS,
    SMALL,
    WEIGHTINGS,
    Step,
    make_model,
    our_step,
    plain_step,
    routes_of,
)
from benchmarks.weightings import many
from jlrun.objective.weightings.base import GramianWeighting, Weighting
from jlrun.ranks.calls import sent
from jlrun.ranks.group import Ranks
from jlrun.ranks.world import ALONE, World
from jlrun.wording import counted

SIZE, TASKS, STEPS, BLOCK = 2, 8, 4, 8
THREADS = 2  # of the one process that two ranks are compared with
WIDTH = 128  # of the features of the CNN
CPU = torch.device("cpu")
LAYOUT = torch.channels_last


@dataclass(frozen=True)
class Moved:
    """Bytes of a step.

    Attributes:
        weighting: its name.
        source: of task gradients; None: it looks at losses.
        measured, modelled: bytes that each rank sends.
    """

    weighting: str
    source: str | None
    measured: float
    modelled: float

    def __str__(self) -> str:
        where = self.source or "losses"
        return f"{self.weighting} ({where}): {self.measured:,.0f} B, {self.ratio:.3f} of the model"

    @property
    def ratio(self) -> float:
        """What was measured over what the model says."""
        return self.measured / self.modelled


def measure(rounds: int, threads: int, names: Sequence[str] = ()) -> Iterator[Moved | Comparison]:
    """Yield the bytes of each weighting, or of those with ``names``, and the speed of two ranks."""
    with forked(SIZE) as ask:
        for name in sorted(f.stem for f in WEIGHTINGS.glob("*.yaml")):
            if name.startswith("_") or (names and name not in names):
                continue
            for source in routes_of(name):
                yield ask(moved, name, source)[0]
        if not names or {"speed", *NETWORKS} & set(names):
            yield from _speed(ask, rounds, threads, names)


def moved(world: World, name: str, source: str | None, tasks: int = TASKS) -> Moved:
    """Return the bytes of a step of a weighting, on each rank of a world."""
    assert isinstance(world, Ranks)
    step = our_step(name, tasks, CPU, source, LAYOUT, world)
    step()
    before = Counter(world.calls.payload)
    for _ in range(STEPS):
        step()
    payload = Counter({k: n / STEPS for k, n in (world.calls.payload - before).items()})
    model = make_model(tasks, CPU)
    shared = sum(p.numel() for p in model.body.shared_parameters())
    every = sum(p.numel() for p in model.parameters())
    shape = traffic.Shape(
        tasks, every, shared, WIDTH, ROWS, samples_of(name), knows_gramian_alone(name)
    )
    return Moved(name, source, sent(payload, world.size), shape.sent(source, world.size))


def samples_of(name: str) -> int:
    """Return S, the equal shares of the batch that a weighting compares."""
    from jlrun.training.passes import num_samples

    return num_samples(_weighting(name))


def knows_gramian_alone(name: str) -> bool:
    """Return whether ranks exchange the Gramian of gradients by features for a weighting."""
    weighting = _weighting(name)
    return isinstance(weighting, GramianWeighting) and weighting.knows_gramian_alone


def _weighting(name: str) -> Weighting:
    import yaml

    from jlrun.config.build import build
    from jlrun.config.groups import gradient_keys
    from jlrun.config.slots import WEIGHTING

    node = yaml.safe_load((WEIGHTINGS / f"{name}.yaml").read_text())
    kept = {k: v for k, v in node.items() if k not in gradient_keys() | {"defaults"}}
    return build(kept, WEIGHTING, ("a", "b"))


@dataclass(frozen=True)
class Timed:
    """What two ranks are timed at, and one process.

    Attributes:
        network: and the batch of a step.
        name: of the weighting; None: the loop written by hand, with DistributedDataParallel.
        source: of its task gradients.
        block: steps that are timed together.
        sync_batchnorm: as ``engine.sync_batchnorm``.
    """

    network: str
    name: str | None
    source: str | None = None
    block: int = BLOCK
    sync_batchnorm: bool = True

    def __str__(self) -> str:
        what = (
            "plain loop, DDP" if self.name is None else f"{self.name} ({self.source or 'losses'})"
        )
        more = "" if self.sync_batchnorm else ", sync_batchnorm=false"
        return f"{self.network}: {what}{more}, two ranks"

    def step(self, world: World = ALONE) -> Step:
        """Return the step."""
        network = NETWORKS[self.network]
        if self.name is None:
            return plain_step(TASKS, CPU, LAYOUT, network, world)
        return our_step(
            *(self.name, TASKS, CPU, self.source, LAYOUT, world, network, self.sync_batchnorm)
        )


NETWORKS = {"CNN": SMALL, "ResNet-18": RESNET18}
TIMED = (
    Timed("CNN", None),
    Timed("CNN", "equal"),
    Timed("CNN", "pcgrad", "features"),
    Timed("ResNet-18", None, block=1),
    Timed("ResNet-18", "equal", block=1),
    Timed("ResNet-18", "equal", block=1, sync_batchnorm=False),
    Timed("ResNet-18", "pcgrad", "features", block=1),
)


DDP = "two ranks of the plain loop, DDP"


def _speed(ask: Ask, rounds: int, threads: int, names: Sequence[str]) -> Iterator[Comparison]:
    """Yield comparisons of two ranks of one thread with one process, and with PyTorch's DDP."""
    for each in TIMED:
        if names and each.network not in names and "speed" not in names:
            continue
        ask(begin, each, Timed(each.network, None))
        torch.set_num_threads(threads)
        plain = partial(many(each.step()), each.block)
        alone = Comparison(str(each), f"one process of {counted(threads, 'thread')}", "step")
        beside = Comparison(str(each), DDP, "step")
        for number in range(rounds + 1):
            ours = Sample.of(partial(ask, steps, 0, each.block)) / each.block
            theirs = Sample.of(plain) / each.block
            ddp = Sample.of(partial(ask, steps, 1, each.block)) / each.block
            if number:
                alone.add(ours, theirs)
                beside.add(ours, ddp)
        yield alone
        if each.name is not None:
            yield beside


_steps: list[Step] = []


def begin(world: World, *timed: Timed) -> None:
    """Make a rank ready for `steps` of each."""
    _steps[:] = [each.step(world) for each in timed]


def steps(world: World, which: int, count: int) -> None:
    """Take steps on a rank."""
    for _ in range(count):
        _steps[which]()


def tables(found: Sequence[Any]) -> str:
    """Return the tables of what was found, and what they say of more ranks."""
    moves = [each for each in found if isinstance(each, Moved)]
    speeds = [each for each in found if isinstance(each, Comparison)]
    lines = [
        f"Bytes that each of {SIZE} ranks sends in a step, T = {TASKS}:",
        "",
        "| weighting | gradients of | measured | model | ratio |",
        "|---|---|---|---|---|",
    ]
    for each in moves:
        cells = (each.weighting, each.source or "losses", f"{each.measured:,.0f}")
        more = (f"{each.modelled:,.0f}", f"{each.ratio:.3f}")
        lines.append("| " + " | ".join((*cells, *more)) + " |")
    if speeds:
        lines += ["", report.table(speeds), "", _SPEED]
    return "\n".join([*lines, "", _EXTRAPOLATION, "", traffic.extrapolated(), "", _ADVICE])


_SPEED = """Below 1 two ranks are faster. The plain loop is what PyTorch itself gives on a machine:
two ranks of DistributedDataParallel, whose BatchNorm is of each rank by itself, against the same
loop in one process. On a busy machine (see the load below) threads of one process wait for each
other, so that the ratio says little of an idle machine."""

_EXTRAPOLATION = f"""## More ranks, by the model

{str(traffic.__doc__).strip().partition(chr(10) * 2)[2]}

Milliseconds a step that the network takes at the bandwidths stated, which are assumptions, with
{traffic.ROWS_PER_RANK} rows on each rank: weightings of losses / of task gradients at features (as
Jacobians) / at parameters. What is hidden behind the backward pass is not subtracted."""

_ADVICE = """## Which weighting where

- Weightings of losses move the same bytes as plain training, whatever T is.
- Features are the smaller exchange as long as ``B D < 2 S N`` about, B being the rows of all ranks:
  2,048 rows of 2,048 features are 4 million numbers, twice the shared parameters of a ResNet-50 47
  million. For small models with wide features and large batches, count first.
- Parameters move T times the gradient: for few tasks, or a fast link. ``update_every=K`` reuses
  weights, and moves the T gradients in one of K steps.
- Buckets of gradients travel while the backward pass goes on, as DDP's do: that hides at most the
  time of the backward pass. What a weighting of task gradients needs before it can be solved is not
  hidden: T² numbers where it knows features by their Gramian, T gradients otherwise."""

Ask = Callable[..., list[Any]]


@contextmanager
def forked(size: int) -> Iterator[Ask]:
    """Yield what has a number of ranks do something, each in a process of one thread."""
    context, pipes, workers = get_context("fork"), [], []
    with tempfile.TemporaryDirectory() as folder:
        for rank in range(size):
            ours, theirs = context.Pipe()
            arguments = (rank, size, Path(folder, "store"), theirs)
            worker = context.Process(target=_serve, args=arguments, daemon=True)
            worker.start()
            pipes.append(ours)
            workers.append(worker)

        def ask(do: Callable[..., Any], *arguments: Any) -> list[Any]:
            for pipe in pipes:
                pipe.send((do, arguments))
            return [pipe.recv() for pipe in pipes]

        try:
            yield ask
        finally:
            for worker in workers:
                worker.kill()
                worker.join()


def _serve(rank: int, size: int, store: Path, pipe: Connection) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=size)
    meanwhile = dist.new_group()
    assert isinstance(meanwhile, dist.ProcessGroup), "all ranks are in it"
    world = Ranks(rank, size, rank, meanwhile=meanwhile)
    while True:
        do, arguments = pipe.recv()
        pipe.send(do(world, *arguments))
