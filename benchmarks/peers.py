"""jlrun beside the loops that others wrote: Lightning for a whole run, TorchJD for a step.

`Lightning`: `lightning.Trainer` with what it does by default (CSV logger, checkpoint of the last
epoch, sanity check) but no progress bar, which jlrun's run has no more than lines of; the model,
rows, batch size, validation after each epoch and deterministic algorithms are those of jlrun's run,
the optimizer is PyTorch's default AdamW; a `DataLoader` without workers reads tensors in memory, or
one whose collate function takes a whole batch at once (`batched`), which few write. jlrun records,
selects the best weights and writes its figures, as in `run`. Of both the epochs alone count: a
longer run minus a shorter one, by the step.

`TorchJD`: `mtl_backward` and `jac_to_grad` in a loop written by hand, at 8 tasks, on the model of
`weightings`, against jlrun's step with the same method on gradients of parameters, as TorchJD
takes them, and on those of features (*features*), which jlrun offers besides. TorchJD's Gramians of
models (`autogram`) were not measured.

LibMTL 1.1.5 is not here: it does not import beside a torchvision that goes with PyTorch 2.14.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.alternation import Comparison, Sample, in_turns
from benchmarks.cases import CASES, Case, PlainLoop
from benchmarks.multitask import AGAINST_TORCHJD, our_step, torchjd_step
from benchmarks.run import SHORT, run_of
from benchmarks.weightings import BLOCK, TASKS, many
from jlrun.engine import session
from jlrun.runs.assembly import Assembly

STEPS = {"MLP, one task": 600, "CNN": 300}  # that the longer run has more
SOURCES = {"": "parameters", ", features": "features"}


def measure(rounds: int, threads: int, names: Sequence[str] = ()) -> Iterator[Comparison]:
    """Yield the comparison of each case, or of those with ``names``."""
    with session(threads=threads, deterministic=True):
        for name in STEPS:
            for batched in (False, True):
                told = f"{name}, batched" if batched else name
                if not names or told in names:
                    yield _whole_run(CASES[name], told, batched, rounds, threads)
    with session(threads=threads, deterministic=False):
        for name in AGAINST_TORCHJD:
            for told, source in SOURCES.items():
                if not names or name + told in names:
                    yield _step(name, name + told, source, rounds)


def _step(name: str, told: str, source: str, rounds: int) -> Comparison:
    device = torch.device("cpu")
    ours = many(our_step(name, TASKS, device, source))
    theirs = many(torchjd_step(name, TASKS, device))
    found = Comparison(told, "TorchJD", "step", facts={"tasks": TASKS, "block": BLOCK})
    for pair in in_turns(ours, theirs, BLOCK, rounds):
        found.add(*pair)
    return found


def _whole_run(case: Case, told: str, batched: bool, rounds: int, threads: int) -> Comparison:
    plain = PlainLoop(case.assemble())
    more = max(1, round(STEPS[case.name] / plain.steps_per_epoch))
    steps = more * plain.steps_per_epoch
    found = Comparison(told, "Lightning", "step", facts={"epochs": more, "steps": steps})
    for number in range(rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            short = run_of(case, SHORT, threads, Path(folder, "short"))
            long = run_of(case, SHORT + more, threads, Path(folder, "long"))
            theirs_short = _lightning(case, SHORT, batched, Path(folder, "theirs"))
            theirs_long = _lightning(case, SHORT + more, batched, Path(folder, "theirs"))
        if number:  # the first round warms up
            found.add((long - short) / steps, (theirs_long - theirs_short) / steps)
    return found


def _lightning(case: Case, epochs: int, batched: bool, folder: Path) -> Sample:
    """Return what `Trainer.fit` takes for a number of epochs."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # few workers, little to log
        return Sample.of(fitted(case.assemble(), epochs, batched, folder)[1])


def fitted(
    assembly: Assembly, epochs: int, batched: bool, folder: Path
) -> tuple[Any, Callable[[], None]]:
    """Return Lightning's trainer of a run, and what trains it."""
    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    plain = PlainLoop(assembly)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        deterministic=True,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    module = _module(plain)
    train, val = (_loader(plain, name, batched) for name in ("train", "val"))
    return trainer, lambda: trainer.fit(module, train, val)


def _module(plain: PlainLoop) -> Any:
    import lightning
    from torchmetrics.classification import MulticlassAccuracy

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = plain.model
            (task,) = plain.tasks
            self.task = task
            self.accuracy = MulticlassAccuracy(len(plain.tasks[task].classes), average="micro")

        def training_step(self, batch: Any, _: int) -> Tensor:
            loss = self._loss(batch)[0]
            self.log("train/loss", loss)
            return loss

        def validation_step(self, batch: Any, _: int) -> None:
            loss, logits = self._loss(batch)
            self.accuracy(logits, batch[1][self.task])
            self.log("val/loss", loss)
            self.log("val/accuracy", self.accuracy)

        def _loss(self, batch: Any) -> tuple[Tensor, Tensor]:
            inputs, targets = batch
            logits = self.model(inputs)[self.task]
            return nn.functional.cross_entropy(logits, targets[self.task]), logits

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=1e-3, weight_decay=0.01)

    return Module()


class _Images(Dataset[Any]):
    """Rows by number, as most data sets are written; by several numbers with `__getitems__`."""

    def __init__(self, plain: PlainLoop, split: str, batched: bool) -> None:
        self._rows = plain.rows(split)
        if batched:
            self.__getitems__ = self._several

    def __len__(self) -> int:
        return self._rows.count

    def __getitem__(self, number: int) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
        inputs, targets = self._rows.at(torch.tensor([number]))
        return {m: x[0] for m, x in inputs.items()}, {t: y[0] for t, y in targets.items()}

    def _several(self, numbers: list[int]) -> Any:
        return self._rows.at(torch.tensor(numbers))


def _loader(plain: PlainLoop, split: str, batched: bool) -> DataLoader[Any]:
    return DataLoader(
        _Images(plain, split, batched),
        batch_size=plain.batch_size if split == "train" else 512,
        shuffle=split == "train",
        collate_fn=_as_it_is if batched else None,
    )


def _as_it_is(batch: Any) -> Any:
    return batch
