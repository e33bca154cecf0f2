"""Commands that meet a malformed file, by a seed."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.fuzz import seeds
from tests.fuzz.cases import Case
from tests.fuzz.mutations import mutated

_BEST = "checkpoints/best/model.safetensors"
MODEL_RUN, TABLE_RUN = "model_run", "table_run"

_TINY = [
    "epochs=1",
    "batch_size=4",
    "baselines=false",
    "recorder.tensorboard=false",
    "recorder.figures=false",
    "engine.threads=1",
    "hydra.run.dir=run",
]
TABLE = ["mode=multitask", "dataset=table"]
# What the runs that stand ready were made with.
RUNS = {
    MODEL_RUN: ["mode=multitask", "dataset=digits", "dataset.limit=60"],
    TABLE_RUN: [*TABLE, "dataset.path=t.csv", "dataset.targets=[label,price]", "modalities=[text]"],
}


def run_arguments(name: str) -> list[str]:
    """Return the command of a run that cases begin from."""
    return [*RUNS[name], *_TINY[:-1], f"hydra.run.dir={name}"]


def broken_file(seed: int, number: int, runs: Path) -> Case:
    """Return a case with one malformed file; ``runs`` holds the runs of `RUNS`."""
    rng = random.Random(f"file {seed} {number}")
    kind = rng.choice(_KINDS)
    name, commands = kind.file, kind.commands
    arguments = list(rng.choice(commands))
    state = rng.getrandbits(64)

    def prepare(folder: Path) -> None:
        kind.prepare(folder, runs)
        path = folder / name
        path.write_bytes(_damaged(kind, state, path.read_bytes())[0])

    return Case(f"file {number}", arguments, prepare, f"a damaged {name}")


def _damaged(kind: _Kind, state: int, content: bytes) -> tuple[bytes, str]:
    return mutated(random.Random(state), content, text=kind.text)


@dataclass(frozen=True)
class _Kind:
    """A file, how it and those beside it are made, and the commands that read it."""

    file: str
    commands: Sequence[Sequence[str]]
    prepare: Callable[[Path, Path], None]
    text: bool = False


def _written(name: str, content: Callable[[], bytes]) -> Callable[[Path, Path], None]:
    def prepare(folder: Path, runs: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content())

    return prepare


def _with_run(run: str, name: str = "", content: Callable[[], bytes] = bytes):
    def prepare(folder: Path, runs: Path) -> None:
        shutil.copytree(runs / run, folder / run, symlinks=True)
        if name:
            _written(name, content)(folder, runs)

    return prepare


def _table_with_files(folder: Path, runs: Path) -> None:
    seeds.write_table_with_files(folder)


def _idx(folder: Path, runs: Path) -> None:
    seeds.write_idx(folder)


def _weights(folder: Path, runs: Path) -> None:
    shutil.copy(
        runs / MODEL_RUN / "checkpoints" / "best" / "model.safetensors", folder / "w.safetensors"
    )


def _pickled_weights(folder: Path, runs: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(runs / MODEL_RUN / _BEST), folder / "w.pt")


def _table(name: str, *more: str) -> list[list[str]]:
    base = [f"dataset.path={name}", "dataset.targets=[label]", *more]
    skip = "dataset.on_error=skip"
    return [
        ["check", *TABLE, *base],
        [*TABLE, *base, *_TINY],
        [*TABLE, *base, skip, *_TINY],
        [*TABLE, f"dataset.path={name}", "dataset.targets=[price]", skip, *_TINY],
        ["init-config", name],
    ]


def _predict(run: str, name: str, *more: str) -> list[list[str]]:
    return [["predict", run, "--input", name, "--output", "out.csv", *more]]


_MEDIA = [
    *_table("t.csv", "dataset.columns.photo=image", "dataset.columns.clip=audio"),
    *_table("t.csv", "dataset.on_error=skip"),
]
_START = ["mode=transfer", "dataset@target=digits", "target.limit=40", *_TINY]
_SOURCE = [*_START, "dataset@source=digits", "source.limit=40", "pretrain_epochs=1"]
_RUN_VERBS = [
    ["evaluate", MODEL_RUN],
    ["resume", MODEL_RUN],
    ["predict", MODEL_RUN, "--input", f"{MODEL_RUN}/../x.npy", "--output", "o.json"],
    ["export", MODEL_RUN, "--output", "exported"],
    [*_START, f"source.run={MODEL_RUN}"],
]


def _images() -> bytes:
    return seeds.array_bytes(np.zeros((3, 8, 8), np.uint8))


def _archive() -> bytes:
    return seeds.archive_bytes(image=np.zeros((3, 8, 8), np.uint8))


def _photo(form: str) -> Callable[[], bytes]:
    return lambda: seeds.image_bytes(form)


_RUN_FILES = [
    "config.yaml", "overrides.yaml", "result.json", "metrics.csv", "model.json", "environment.json",
    "checkpoints/best/model.safetensors", "checkpoints/last/model.safetensors",
]  # fmt: skip

_KINDS = [
    *[_Kind("t.csv", _table("t.csv"), _written("t.csv", seeds.csv_bytes), True)] * 6,
    *[_Kind("t.jsonl", _table("t.jsonl"), _written("t.jsonl", seeds.json_lines_bytes), True)] * 4,
    *[_Kind("t.parquet", _table("t.parquet"), _written("t.parquet", seeds.parquet_bytes))] * 3,
    *[_Kind("t.csv", _MEDIA, _table_with_files, True)] * 2,
    *[_Kind(f"clips/{i}.wav", _MEDIA, _table_with_files) for i in (0, 3)],
    *[_Kind(f"flat/{i}.png", _MEDIA, _table_with_files) for i in (0, 3)],
    *[_Kind(f"curves/{i}.npy", _MEDIA, _table_with_files) for i in (0, 3)],
    *[
        _Kind(
            "photos/a/2.png",
            [["mode=multitask", "dataset=imagefolder", "dataset.root=photos", *_TINY]],
            _table_with_files,
        )
    ]
    * 2,
    *[
        _Kind(
            f"data/MNIST/raw/{part}",
            [["mode=multitask", "dataset=mnist", "dataset.limit=20", *_TINY]],
            _idx,
        )
        for part in ("train-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    ],
    *[
        _Kind(
            f"x.{form}",
            _predict(MODEL_RUN, f"x.{form}"),
            _with_run(MODEL_RUN, f"x.{form}", _photo(form)),
        )
        for form in ("png", "jpeg", "gif", "bmp", "tiff", "webp")
    ],
    _Kind("x.npy", _predict(MODEL_RUN, "x.npy"), _with_run(MODEL_RUN, "x.npy", _images)),
    _Kind("x.npz", _predict(MODEL_RUN, "x.npz"), _with_run(MODEL_RUN, "x.npz", _archive)),
    *[
        _Kind(
            "new.csv",
            [*_predict(TABLE_RUN, "new.csv"), *_predict(TABLE_RUN, "new.csv", "--on-error=skip")],
            _with_run(TABLE_RUN, "new.csv", seeds.csv_bytes),
            True,
        )
    ]
    * 2,
    *[
        _Kind(
            "w.safetensors",
            [[*_START, "source.weights=w.safetensors"]],
            _weights,
        )
    ]
    * 2,
    _Kind("w.pt", [[*_START, "source.weights=w.pt"]], _pickled_weights),
    *[
        _Kind(
            "conf/experiment/mine.yaml",
            [["check", "experiment=mine"], ["experiment=mine", *_TINY], ["ls"]],
            _written("conf/experiment/mine.yaml", seeds.EXPERIMENT.encode),
            True,
        )
    ]
    * 5,
    _Kind(
        "v.yaml",
        [[*_START[:3], "strategy=zero_shot", "zero_shot.attributes=v.yaml", *_TINY]],
        _written("v.yaml", seeds.CLASS_VECTORS.encode),
        True,
    ),
    *[
        _Kind(
            f"{MODEL_RUN}/{file}",
            _RUN_VERBS,
            _with_run(MODEL_RUN, "x.npy", _images),
            not file.endswith("safetensors"),
        )
        for file in _RUN_FILES
    ],
]
