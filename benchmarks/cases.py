"""Cases of the benchmarks of speed: a run of jlrun, and the loop that one would write instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils import deterministic

from jlrun.config import checked
from jlrun.data.sources import load_all
from jlrun.data.specs import ImageSpec, Spec
from jlrun.data.streams import Stream
from jlrun.runs.assembly import Assembly, assemble
from jlrun.runs.settings import RunSettings
from jlrun.tasks import Binary, TaskSpec
from jlrun.training.plan import Fit

DIGITS = ("mode=multitask", "dataset=digits", "batch_size=64", "baselines=false")
SHAPES = (
    *("mode=multitask", "dataset=shapes", "dataset.num_train=1000", "modalities=[image]"),
    *("tasks=[shape]", "baselines=false"),
)
EVALUATION_BATCH = 512  # rows


@dataclass(frozen=True)
class Case:
    """A run whose step is measured.

    Attributes:
        name: of the case.
        overrides: of the run.
        block: steps that are timed together.
    """

    name: str
    overrides: tuple[str, ...]
    block: int = 50

    def assemble(self, *more: str) -> Assembly:
        """Return what the run is made of, under ``more`` overrides."""
        composed = checked([*self.overrides, *more, "hydra.run.dir=unused"])
        return assemble(RunSettings.parse(composed.config))


CASES = {
    case.name: case
    for case in (
        Case("MLP, one task", (*DIGITS, "backbone/image=mlp", "tasks=[digit]")),
        Case("MLP, two tasks", (*DIGITS, "backbone/image=mlp")),
        Case("CNN", (*DIGITS, "tasks=[digit]"), 30),
        Case(
            "image and audio",
            (
                *("mode=multimodal", "dataset=digits_dtmf", "fusion=concat", "tasks=[digit]"),
                *("batch_size=64", "baselines=false", "missing.evaluate=false"),
            ),
            10,
        ),
        Case("ResNet-18", (*DIGITS, "tasks=[digit]", "backbone/image=resnet18"), 2),
        Case("CNN, 64 x 64", (*SHAPES, "dataset.size=64", "batch_size=64"), 2),
        Case(
            "ResNet-18, 128 x 128",
            (*SHAPES, "dataset.size=128", "batch_size=16", "backbone/image=resnet18"),
            1,
        ),
    )
}


def as_pytorch_has_it(threads: int) -> None:
    """Set up a process for a loop by hand: by ``threads``, with deterministic algorithms."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)


class PlainLoop:
    """The training loop of a run as written by hand: the same model, rows, loss and optimizer.

    Rows are tensors in memory, the optimizer is PyTorch's default AdamW, and the loss is read
    after every step. It keeps nothing, checks nothing and records nothing. What jlrun switches in
    PyTorch is as PyTorch has it, but for threads and deterministic algorithms.

    Args:
        assembly: of the run.
        order: epoch -> the order of the rows; None: random.
    """

    def __init__(self, assembly: Assembly, order: Callable[[int], Tensor] | None = None) -> None:
        fit = assembly.plan.fits[0]
        (stream,) = fit.phases[-1].train.values()
        model = assembly.new_model(fit)  # channels-last where jlrun's is: the faster of the two
        self.model = _Plain(model.body.trunk.encoders, model.body.trunk.fusion, model.heads)
        self.tasks = tasks_of(fit)
        self._assembly, self._fit = assembly, fit
        self._order = order or (lambda _: torch.randperm(len(stream.rows)))
        self._optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3, weight_decay=0.01)
        self.batch_size = stream.rows_per_step
        self.steps_per_epoch = stream.steps_per_epoch
        self._epoch, self._step = 0, 0
        self._shuffled = self._order(0)
        self.losses: list[float] = []

    def rows(self, split: str) -> _Rows:
        """Return all rows of ``train`` or ``val``."""
        return self._train if split == "train" else self._val

    @cached_property
    def _train(self) -> _Rows:
        (stream,) = self._fit.phases[-1].train.values()
        return _Rows(stream, self._assembly)

    @cached_property
    def _val(self) -> _Rows:
        (stream,) = self._fit.phases[-1].val.values()
        return _Rows(stream, self._assembly)

    def steps(self, count: int) -> None:
        """Train for ``count`` steps; an epoch may begin in the middle."""
        with _pytorch_defaults():
            self._steps(count)

    def _steps(self, count: int) -> None:
        self.model.train()
        for _ in range(count):
            inputs, targets = self._next_batch()
            self._optimizer.zero_grad()
            loss = self._loss(self.model(inputs), targets)
            loss.backward()
            self._optimizer.step()
            self.losses.append(loss.item())

    def _next_batch(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        if self._step == self.steps_per_epoch:
            self._epoch, self._step = self._epoch + 1, 0
            self._shuffled = self._order(self._epoch)
        start, self._step = self._step * self.batch_size, self._step + 1
        stop = None if self._step == self.steps_per_epoch else start + self.batch_size
        return self._train.at(self._shuffled[start:stop])

    def epochs(self, count: int) -> None:
        """Train for ``count`` epochs, with a pass over the validation rows after each."""
        for _ in range(count):
            self.steps(self.steps_per_epoch)
            self.validate()

    @torch.no_grad()
    def validate(self) -> tuple[float, dict[str, float]]:
        """Return the mean loss and each task's accuracy on the validation rows."""
        self.model.eval()
        total, correct = 0.0, dict.fromkeys(self.tasks, 0)
        for rows in torch.arange(self._val.count).split(EVALUATION_BATCH):
            inputs, targets = self._val.at(rows)
            logits = self.model(inputs)
            total += self._loss(logits, targets).item() * len(rows)
            for name, spec in self.tasks.items():
                correct[name] += (_decided(logits[name], spec) == targets[name]).sum().item()
        count = self._val.count
        return total / count, {name: number / count for name, number in correct.items()}

    def _loss(self, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
        losses = [_task_loss(logits[n], targets[n], spec) for n, spec in self.tasks.items()]
        return sum(losses[1:], losses[0])


@contextmanager
def _pytorch_defaults() -> Iterator[None]:
    before = deterministic.fill_uninitialized_memory
    deterministic.fill_uninitialized_memory = True
    try:
        yield
    finally:
        deterministic.fill_uninitialized_memory = before


class _Plain(nn.Module):
    """The parts of a joint model, called one after the other."""

    def __init__(self, encoders: nn.ModuleDict, fusion: nn.Module, heads: nn.ModuleDict) -> None:
        super().__init__()
        self.encoders, self.fusion, self.heads = encoders, fusion, heads

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = {name: encoder(inputs[name]) for name, encoder in self.encoders.items()}
        fused = self.fusion(features, {})
        return {name: head(fused) for name, head in self.heads.items()}


class _Rows:
    """All rows of a stream as tensors."""

    def __init__(self, stream: Stream, assembly: Assembly) -> None:
        everything = load_all(stream.rows, assembly.engine.device)
        self._inputs = {name: everything.inputs[name] for name in assembly.specs}
        self._targets = dict(everything.targets)
        self._statistics = {name: _statistics(spec) for name, spec in assembly.specs.items()}
        self.count = len(stream.rows)

    def at(self, rows: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return inputs and targets of some rows, by their indices."""
        inputs = {name: self._normalised(name, x[rows]) for name, x in self._inputs.items()}
        return inputs, {name: target[rows] for name, target in self._targets.items()}

    def _normalised(self, name: str, x: Tensor) -> Tensor:
        statistics = self._statistics[name]
        if statistics is None:
            return x
        mean, std = statistics
        return (x.float() / 255 - mean) / std


def _statistics(spec: Spec) -> tuple[Tensor, Tensor] | None:
    if not isinstance(spec, ImageSpec):
        return None
    return torch.tensor(spec.mean).view(-1, 1, 1), torch.tensor(spec.std).view(-1, 1, 1)


def _task_loss(logits: Tensor, target: Tensor, spec: TaskSpec) -> Tensor:
    if isinstance(spec.task, Binary):
        return F.binary_cross_entropy_with_logits(logits[:, 0], target.float())
    return F.cross_entropy(logits, target)


def _decided(logits: Tensor, spec: TaskSpec) -> Tensor:
    return logits[:, 0] > 0 if isinstance(spec.task, Binary) else logits.argmax(dim=1)


def tasks_of(fit: Fit) -> dict[str, TaskSpec]:
    """Return head -> task of the fit's last phase."""
    return {objective.head: objective.spec for objective in fit.phases[-1].objectives}
