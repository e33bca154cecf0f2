"""Files that several jobs need are decoded once, and exactly as they are."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from jlrun.config import checked
from jlrun.data.reading import audio, decoded, image_files
from jlrun.data.reading.audio import read_audio
from jlrun.data.reading.decoded import kept_in, shared_in
from jlrun.data.reading.image_files import read_picture, square
from jlrun.data.specs import AudioSpec, ImageSpec
from jlrun.errors import UserError
from jlrun.files.run_directory import RunDirectory
from jlrun.runs.assembly import assemble
from jlrun.runs.execution import execute
from jlrun.runs.settings import RunSettings
from jlrun.runs.sweeps.launch import launch

SPEC = square(8, 3)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    values = np.random.default_rng(0).integers(0, 256, (12, 11, 9, 3), np.uint8)
    paths = [tmp_path / "pictures" / "ab"[i % 2] / f"{i}.png" for i in range(12)]
    for path, pixels in zip(paths, values, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return paths


@pytest.fixture
def count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Return the names of the files that were decoded since the last call, in any process."""
    log, decode = tmp_path / "decoded.txt", image_files._decode

    def counted(path: str | Path, spec: ImageSpec) -> torch.Tensor:
        with log.open("a") as file:
            file.write(f"{Path(path).name}\n")
        time.sleep(0.002)  # so that processes meet at a file
        return decode(path, spec)

    monkeypatch.setattr(image_files, "_decode", counted)

    def names() -> list[str]:
        found = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return sorted(found)

    return names


def test_processes_decode_each_file_once_and_have_the_same_values(
    pictures: list[Path], count: Callable[[], list[str]], tmp_path: Path
) -> None:
    expected = torch.stack([read_picture(path, SPEC) for path in pictures])
    assert len(count()) == len(pictures)
    folder = tmp_path / "shared"
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            with shared_in(folder):
                found = torch.stack([read_picture(path, SPEC) for path in pictures])
            os._exit(0 if found.equal(expected) else 1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    assert count() == sorted(path.name for path in pictures)


@pytest.fixture
def of_pictures(pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return overrides of a run on the pictures; nothing about them is remembered from before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = ["mode=multitask", "dataset=imagefolder", f"dataset.root={pictures[0].parents[1]}"]
    run += ["dataset.size=8", "baselines=false", "batch_size=4", "recorder.figures=false"]
    return [*run, "recorder.progress=none", "recorder.tensorboard=false"]


def test_a_sweep_decodes_each_file_once(
    pictures: list[Path], count: Callable[[], list[str]], of_pictures: list[str]
) -> None:
    sweep = [*of_pictures, "epochs=1", "seed=0,1,2,3"]
    assert launch([*sweep, "hydra.sweep.dir=sweep"]) == 0
    assert count() == sorted(path.name for path in pictures)
    statuses = [json.loads(Path(f"sweep/{i}/result.json").read_text())["status"] for i in range(4)]
    assert statuses == ["completed"] * 4
    assert not Path("sweep", ".decoded").exists()


def test_a_run_that_streams_decodes_each_file_once(
    pictures: list[Path], count: Callable[[], list[str]], tmp_path: Path, of_pictures: list[str]
) -> None:
    run = [*of_pictures, "dataset.mean=[0.5,0.5,0.5]", "dataset.std=[0.2,0.2,0.2]"]
    run += ["epochs=3", "patience=null"]
    run += ["engine.memory_budget=100", "engine.workers=0", f"hydra.run.dir={tmp_path / 'run'}"]
    composed = checked(run)
    assemble(RunSettings.parse(composed.config))  # checks all files, which is remembered
    count()
    execute(composed)
    assert count() == sorted(path.name for path in pictures)
    assert not RunDirectory(tmp_path / "run").decoded.exists()


def test_another_form_and_a_changed_file_are_decoded_again(
    pictures: list[Path], count: Callable[[], list[str]], tmp_path: Path
) -> None:
    path = pictures[0]
    with kept_in(tmp_path / "shared"):
        for spec in (SPEC, SPEC, square(8, 1), square(4, 3)):
            assert read_picture(path, spec).equal(image_files._decode(path, spec))
        count()
        Image.fromarray(np.full((11, 9, 3), 7, np.uint8)).save(path)
        assert read_picture(path, SPEC).eq(7).all()
        assert read_picture(path, SPEC).eq(7).all()
    assert count() == ["0.png"]
    assert not (tmp_path / "shared").exists()


@pytest.mark.parametrize("fault", ["read-only", "full", "no room", "gone", "damaged", "killed"])
def test_what_is_wrong_with_the_folder_costs_time_alone(
    fault: str,
    pictures: list[Path],
    count: Callable[[], list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, folder = pictures[0], tmp_path / "shared"
    expected = image_files._decode(path, SPEC)
    count()
    if fault == "killed":  # by a signal, while it held the lock
        child = os.fork()
        if child == 0:
            monkeypatch.setattr(image_files, "_decode", lambda path, spec: os.kill(os.getpid(), 9))
            with shared_in(folder):
                read_picture(path, SPEC)
        assert os.waitpid(child, 0)[1] == 9
    if fault == "read-only":
        monkeypatch.setattr(Path, "mkdir", _read_only)
    with shared_in(folder):
        if fault == "full":
            monkeypatch.setattr(Path, "write_bytes", _full)
        elif fault == "no room":
            monkeypatch.setattr(decoded, "_FREE", 1.1)
        elif fault == "gone":
            decoded.forget(folder)
        assert read_picture(path, SPEC).equal(expected)
        entries = [file for file in folder.rglob("*") if file.is_file() and file.name != ".lock"]
        assert len(entries) == (1 if fault in ("damaged", "killed") else 0)
        if fault == "damaged":
            entries[0].write_bytes(bytes(entries[0].stat().st_size))
        assert read_picture(path, SPEC).equal(expected)
    assert len(count()) == (1 if fault == "killed" else 2)


def _read_only(path: Path, **_: object) -> None:
    raise PermissionError(13, "Permission denied", str(path))


def _full(path: Path, content: bytes) -> int:
    raise OSError(28, "No space left on device", str(path))


def test_sounds_are_shared_and_broken_files_are_not(tmp_path: Path) -> None:
    spec, path, broken = (
        AudioSpec(num_samples=100, sample_rate=8_000),
        tmp_path / "a.wav",
        tmp_path / "b.wav",
    )
    soundfile.write(path, np.linspace(-0.5, 0.5, 80), 16_000, subtype="FLOAT")
    broken.write_bytes(b"RIFF")
    expected = audio._decode(path, spec)
    with kept_in(tmp_path / "shared"):
        assert read_audio(path, spec).equal(expected)
        entries = [f for f in (tmp_path / "shared").rglob("*") if f.is_file()]
        assert len(entries) == 2  # with the lock file
        assert read_audio(path, spec).equal(expected)
        for _ in range(2):
            with pytest.raises(UserError, match=r"b\.wav"):
                read_audio(broken, spec)
