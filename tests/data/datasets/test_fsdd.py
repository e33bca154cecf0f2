"""The Free Spoken Digit Dataset, from small files in its form."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from jlrun.data.datasets.fsdd import load_fsdd
from jlrun.data.rows import Rows
from jlrun.data.specs import AudioSpec
from jlrun.errors import UserError

SHARED = Path(__file__).parents[4] / "shared" / "data"


def record(path: Path, value: int = 0, num_samples: int = 80, rate: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.full(num_samples, value, "<i2").tobytes())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for digit in (0, 7):
        for speaker in ("theo", "anna_b"):
            for index in (0, 4, 5, 12):
                record(tmp_path / "fsdd" / f"{digit}_{speaker}_{index}.wav", 1000 * digit + index)
    return tmp_path


def values(rows: Rows | None) -> list[int]:
    """The first sample of each recording: 1000 times the digit, and the index."""
    assert rows is not None
    audio = rows.fetch(torch.arange(len(rows))).inputs["audio"]
    return (audio[:, 0] * 32768).round().long().tolist()


def complaint(root: Path, **options: float) -> str:
    with pytest.raises(UserError) as caught:
        load_fsdd(str(root), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_recordings_0_to_4_are_the_test_split(root: Path) -> None:
    dataset = load_fsdd(str(root))
    assert dataset.val is None
    assert [value % 1000 for value in values(dataset.train)] == [12, 5] * 4
    assert [value % 1000 for value in values(dataset.test)] == [0, 4] * 4


def test_targets_are_read_from_the_names(root: Path) -> None:
    dataset = load_fsdd(str(root))
    assert dataset.classes == {"digit": tuple("0123456789"), "speaker": ("anna_b", "theo")}
    targets = dataset.train.targets
    assert targets["digit"].tolist() == [value // 1000 for value in values(dataset.train)]
    assert targets["speaker"].tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    assert targets["digit"].dtype == targets["speaker"].dtype == torch.int64


@pytest.mark.parametrize(("seconds", "length"), [(0.005, 40), (0.01, 80), (0.02, 160)])
def test_recordings_are_cut_or_padded(root: Path, seconds: float, length: int) -> None:
    dataset = load_fsdd(str(root), seconds)
    assert dataset.modalities["audio"] == AudioSpec(length, 8000)
    audio = dataset.train.fetch(torch.tensor([7])).inputs["audio"][0]
    assert audio.shape == (length,)
    assert audio.count_nonzero() == min(length, 80)
    assert audio[80:].count_nonzero() == 0


@pytest.mark.parametrize("folder", ["recordings", "free-spoken-digit-dataset/recordings"])
def test_the_folder_of_the_repository(root: Path, folder: str) -> None:
    (root / folder).parent.mkdir(exist_ok=True)
    (root / "fsdd").rename(root / folder)
    assert len(load_fsdd(str(root)).train) == 8


def test_without_test_recordings_the_runner_splits(root: Path) -> None:
    for path in root.glob("fsdd/*_[0-4].wav"):
        path.unlink()
    assert load_fsdd(str(root)).test is None


def test_without_training_recordings(root: Path) -> None:
    for path in [*root.glob("fsdd/*_5.wav"), *root.glob("fsdd/*_12.wav")]:
        path.unlink()
    assert "no recording has an index above 4" in complaint(root)


def test_a_missing_folder(tmp_path: Path) -> None:
    message = complaint(tmp_path)
    assert message.startswith(f"data_root={tmp_path}: no WAV files in fsdd")
    assert "{digit}_{speaker}_{index}.wav" in message
    assert "github.com/Jakobovski" in message
    assert "no such folder" in complaint(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["x.wav", "10_theo_1.wav", "7_theo.wav", "7_theo_one.wav"])
def test_another_name(root: Path, name: str) -> None:
    record(root / "fsdd" / name)
    message = complaint(root)
    assert message.startswith(str(root / "fsdd" / name))
    assert "7_jackson_32.wav" in message


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1"])
def test_a_damaged_file(root: Path, content: bytes) -> None:
    path = root / "fsdd" / "7_theo_12.wav"
    path.write_bytes(content)
    assert complaint(root).startswith(f"{path}: not a readable sound file")


def test_another_sample_rate(root: Path) -> None:
    record(root / "fsdd" / "7_theo_12.wav", 7012, num_samples=400, rate=16000)
    audio = load_fsdd(str(root)).train.fetch(torch.arange(8)).inputs["audio"]
    ending = (audio[6] != 0).nonzero().max()  # converted: half as many samples
    assert 195 <= int(ending) <= 215


@pytest.mark.skipif(
    not (SHARED / "fsdd").is_dir(), reason="the shared data are not beside this checkout"
)
def test_real_recordings() -> None:
    dataset = load_fsdd(str(SHARED))
    assert dataset.test is not None
    assert (len(dataset.train), len(dataset.test)) == (1200, 300)
    assert dataset.classes["speaker"] == (
        "george",
        "jackson",
        "lucas",
        "nicolas",
        "theo",
        "yweweler",
    )
    for targets in (dataset.train.targets, dataset.test.targets):
        pairs = 10 * targets["speaker"] + targets["digit"]
        assert pairs.bincount().unique().numel() == 1  # all equally often
    audio = dataset.train.fetch(torch.arange(1200)).inputs["audio"]
    assert (audio.square().mean(dim=1) > 1e-6).all()
