"""Training from memory and from files, by the image, against the same training without data.

Photographs in JPEG files, padded by 4 pixels and cropped, flipped and normalised, train a small
CNN (16 and 32 channels, 128 hidden units) at batch size 64. *Compute alone* is jlrun's loop on one
batch that is made beforehand. *Two workers* is a plain PyTorch loop in a process of its own (as in
`step`) whose `DataLoader` has two persistent workers, which do the same to each image with
transforms of torchvision v2. All of them may use all processors.

- `in memory`: 32 x 32 pixels, decoded beforehand in both.
- `streamed`: more than `engine.memory_budget`, files of 160 x 160 pixels at 64 x 64, which two
  workers read in both; jlrun decodes each once, in the `first epoch`, the loop in every epoch.
- `first batch`: from files to the first batch; what jlrun keeps in memory it decodes before it.

A ratio is of times: 0.5 is twice as many images in a second.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2
from torchvision.tv_tensors import Image

from benchmarks.alternation import Comparison, Elsewhere, Sample, in_turns
from benchmarks.cases import PlainLoop, as_pytorch_has_it
from benchmarks.loops import JlrunLoop, Repeated
from benchmarks.photos import write_photos
from jlrun.config import checked
from jlrun.data.reading.decoded import kept_unless_shared
from jlrun.data.sources import load_all
from jlrun.data.specs import ImageSpec
from jlrun.data.streams import Stream
from jlrun.engine import session
from jlrun.runs.assembly import Assembly, assemble
from jlrun.runs.settings import RunSettings

THREADS = os.cpu_count() or 1
IN_MEMORY, STREAMED, FIRST = "in memory", "streamed", "first batch"
FIRST_EPOCH = "first epoch"
ALONE, TWO_WORKERS = "compute alone", "two workers"
BATCH_SIZE, WORKERS = 64, 2
PADDING, FLIP = 4, 0.5  # pixels, probability
BLOCKS = {IN_MEMORY: 30, STREAMED: 10}  # steps
SETTLE = 5  # steps, more than two workers have ready
FILES = {IN_MEMORY: (4000, 64), STREAMED: (1600, 160)}  # files, pixels on a side
SIZES = {IN_MEMORY: 32, STREAMED: 64}  # pixels on a side, of what is trained on
MODEL = ("backbone/image=cnn", "backbone.image.channels=[16,32]", "backbone.image.hidden=128")


def measure(rounds: int, threads: int, names: Sequence[str] = ()) -> Iterator[Comparison]:
    """Yield the comparisons of each case, or of those with ``names``."""
    with session(threads=threads, deterministic=True):
        for kind in FILES:
            with tempfile.TemporaryDirectory() as folder:
                made = None
                if not names or {kind, FIRST} & set(names):
                    write_photos(Path(folder), *FILES[kind])
                    made = assembled(kind, Path(folder))
                if made is not None and (not names or kind in names):
                    with kept_unless_shared(Path(folder, "decoded")):  # as in a run
                        yield from _throughput(kind, made, Path(folder), rounds)
                    if kind == STREAMED:
                        yield _first_epoch(made, Path(folder), rounds)
                if made is not None and (not names or FIRST in names):
                    yield _first_batch(kind, made, Path(folder), rounds)


def assembled(kind: str, folder: Path) -> Assembly:
    """Return the run that trains on the photographs in a folder."""
    budget = "12MB" if kind == STREAMED else "4GB"
    composed = checked(
        [
            *("mode=multitask", "dataset=imagefolder", f"dataset.root={folder}", *MODEL),
            *(f"dataset.size={SIZES[kind]}", f"batch_size={BATCH_SIZE}", "baselines=false"),
            *(f"dataset.augment.crop={PADDING}", f"dataset.augment.flip={FLIP}"),
            *(f"engine.memory_budget={budget}", f"engine.workers={WORKERS}"),
            "hydra.run.dir=unused",
        ]
    )
    return assemble(RunSettings.parse(composed.config))


def _throughput(kind: str, assembly: Assembly, folder: Path, rounds: int) -> Iterator[Comparison]:
    block, epoch = BLOCKS[kind], train_stream(assembly).steps_per_epoch
    most = (rounds + 1) * (block + SETTLE) + epoch
    facts = {"batch_size": BATCH_SIZE, "block": block, "files": FILES[kind], "size": SIZES[kind]}
    with Elsewhere(_loader_steps, kind, folder, torch.get_num_threads()) as loader_steps:
        references = {
            ALONE: JlrunLoop.of(assembly, most, Repeated.of(train_stream(assembly))).steps,
            TWO_WORKERS: loader_steps,
        }
        for name, theirs in references.items():
            found = Comparison(kind, name, "image", facts=facts)
            ours = JlrunLoop.of(assembly, most).steps
            ours(epoch)
            for pair in in_turns(ours, theirs, block, rounds, settle=SETTLE):
                found.add(*(sample / BATCH_SIZE for sample in pair))
            yield found


def _loaded(kind: str, folder: Path, threads: int) -> Callable[[], LoaderLoop]:
    """Return what makes the plain loop, in a process of its own."""
    as_pytorch_has_it(threads)
    assembly = assembled(kind, folder)
    return lambda: LoaderLoop(assembly, loader(kind, assembly, folder))


def _loader_steps(kind: str, folder: Path, threads: int) -> Callable[[int], object]:
    return _loaded(kind, folder, threads)().steps


def _loader_start(kind: str, folder: Path, threads: int) -> Callable[[int], object]:
    """Return the steps of a loop that starts its workers with the first of them."""
    made = _loaded(kind, folder, threads)
    return lambda steps: made().steps(steps)


def _first_epoch(assembly: Assembly, folder: Path, rounds: int) -> Comparison:
    found = Comparison(f"{STREAMED}, {FIRST_EPOCH}", TWO_WORKERS, "image")
    steps = train_stream(assembly).steps_per_epoch
    for _ in range(max(1, rounds // 3)):
        with kept_unless_shared(folder / "decoded"):
            ours = Sample.of(lambda: JlrunLoop.of(assembly, steps).steps(steps))
        with Elsewhere(_loader_start, STREAMED, folder, torch.get_num_threads()) as theirs:
            found.add(*(each / steps / BATCH_SIZE for each in (ours, theirs(steps))))
    return found


def _first_batch(kind: str, assembly: Assembly, folder: Path, rounds: int) -> Comparison:
    found = Comparison(f"{FIRST}, {kind}", TWO_WORKERS, "first batch")
    for number in range(rounds + 1):
        ours = Sample.of(lambda: next(iter(undecoded(assembly).batches(0, 1))))
        theirs = Sample.of(lambda: next(iter(loader(kind, assembly, folder, from_files=True))))
        if number:
            found.add(ours, theirs)
    return found


def train_stream(assembly: Assembly) -> Stream:
    """Return the stream of training rows."""
    (stream,) = assembly.plan.fits[0].phases[-1].train.values()
    return stream


def undecoded(assembly: Assembly) -> Stream:
    """Return the same, of which nothing is in memory."""
    stream = train_stream(assembly)
    return stream.take(torch.arange(len(stream.rows)))


class LoaderLoop(PlainLoop):
    """The loop as written by hand, with a loader of images and labels."""

    def __init__(self, assembly: Assembly, batches: DataLoader[Any]) -> None:
        super().__init__(assembly)
        self._loader, self._coming = batches, iter(batches)
        (self._image,), (self._label,) = assembly.specs, self.tasks

    def _next_batch(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        batch = next(self._coming, None)
        if batch is None:
            self._coming = iter(self._loader)
            batch = next(self._coming)
        images, labels = batch
        return {self._image: images}, {self._label: labels}


def loader(
    kind: str, assembly: Assembly, folder: Path, *, from_files: bool = False
) -> DataLoader[Any]:
    """Return the loader of the training images, with two workers.

    Args:
        kind: in memory, or streamed.
        assembly: of jlrun's run, for its rows and statistics.
        folder: of the files.
        from_files: whether files are read in any case.
    """
    spec, size = assembly.specs["image"], SIZES[kind]
    assert isinstance(spec, ImageSpec)
    change = changes(size, spec.mean, spec.std)
    if kind == STREAMED or from_files:
        read = v2.Compose([v2.ToImage(), v2.Resize(size), change])
        images: Dataset[Any] = ImageFolder(str(folder / "train"), read)
    else:
        images = _InMemory(train_stream(assembly), change)
    return DataLoader(
        images,
        batch_size=BATCH_SIZE,
        shuffle=True,
        num_workers=WORKERS,
        persistent_workers=WORKERS > 0,
        # As by default on Linux, not as this process was started.
        multiprocessing_context="fork" if WORKERS else None,
    )


def changes(size: int, mean: Sequence[float], std: Sequence[float]) -> Callable[[Any], Tensor]:
    """Return the changes of an image by torchvision."""
    return v2.Compose(
        [
            v2.RandomCrop(size, padding=PADDING),
            v2.RandomHorizontalFlip(FLIP),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(list(mean), list(std)),
        ]
    )


class _InMemory(Dataset[Any]):
    """Images that are decoded already."""

    def __init__(self, stream: Stream, change: Callable[[Any], Tensor]) -> None:
        everything = load_all(stream.rows, torch.device("cpu"))
        self._images, self._labels = everything.inputs["image"], everything.targets["label"]
        self._change = change

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self._change(Image(self._images[row])), self._labels[row]
