"""Pairs of blurred digits and sounds in noise, from small files in the real formats."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.av_digits import fitted_components, kept, load_av_digits
from jlrun.data.datasets.torchvision_sets import load_torchvision
from jlrun.data.rows import Rows
from jlrun.data.specs import AudioSpec, ImageSpec
from jlrun.errors import UserError
from tests.data.av_files import (
    LENGTH,
    SPEAKERS,
    TEST,
    TEST_CLIPS,
    TRAIN,
    TRAIN_CLIPS,
    record,
    tone,
    write_av_digits,
)
from tests.data.idx_files import write_mnist

CONF = Path(__file__).parents[3] / "conf" / "dataset" / "av_digits.yaml"
SHARED = Path(__file__).parents[4] / "shared" / "data"
NOT_ARGUMENTS = {"defaults", "_target_", "tasks", "modalities", "root"}
SECONDS = LENGTH / 8000
QUIET = {"snr_db": (80.0, 80.0), "num_train": None, "num_val": None}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_av_digits(tmp_path_factory.mktemp("data")))


def load(root: str, **options: Any) -> Dataset:
    sizes = {"num_train": 60, "num_val": 20, "num_test": 30, "seconds": SECONDS}
    return load_av_digits(root, download=False, **sizes | options)


def columns(rows: Rows | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    assert rows is not None
    batch = rows.fetch(torch.arange(len(rows)))
    return (*batch.inputs.values(), *batch.targets.values())  # pyright: ignore


def heard(audio: Tensor) -> Tensor:
    """Return the number of the loudest tone in each sound."""
    return torch.fft.rfft(audio).abs().argmax(dim=1)


def test_the_yaml_shows_every_default_and_names_tasks_and_modalities(root: str) -> None:
    config = yaml.safe_load(CONF.read_text())
    signature = inspect.signature(load_av_digits).parameters
    shown = {k: v for k, v in config.items() if k not in NOT_ARGUMENTS}
    assert shown == {
        k: list(p.default) if isinstance(p.default, tuple) else p.default
        for k, p in signature.items()
        if k not in NOT_ARGUMENTS
    }
    dataset = load(root)
    assert config["modalities"] == list(dataset.modalities) == ["image", "audio"]
    assert list(config["tasks"]) == list(dataset.classes) == ["digit", "speaker"]


def test_rows_are_as_the_specs_say(root: str) -> None:
    dataset = load(root)
    assert dataset.modalities == {
        "image": ImageSpec(1, 28, 28, mean=(), std=()),
        "audio": AudioSpec(LENGTH, 8000),
    }
    assert dataset.classes["speaker"] == SPEAKERS
    for rows, count in ((dataset.train, 60), (dataset.val, 20), (dataset.test, 30)):
        image, audio, digit, speaker = columns(rows)
        assert image.shape == (count, 1, 28, 28)
        assert image.dtype == torch.uint8
        assert audio.shape == (count, LENGTH)
        assert audio.dtype == torch.float32
        assert audio.abs().max() <= 1
        torch.testing.assert_close(
            audio.square().mean(dim=1).sqrt(), torch.full((count,), 0.2), rtol=0.1, atol=0
        )
        assert digit.dtype == speaker.dtype == torch.int64
        assert digit.bincount().tolist() == [count // 10] * 10


def test_every_row_pairs_an_image_and_a_sound_of_its_digit(root: str) -> None:
    """All components keep the pixels, and loud tones say which recording it is."""
    dataset = load(root, **QUIET, num_components=784, num_test=None)
    mnist = load_torchvision("MNIST", root, download=False)
    for split, known, indices in (
        ("train", mnist.train, TRAIN_CLIPS),
        ("val", mnist.train, TRAIN_CLIPS),
        ("test", mnist.test, TEST_CLIPS),
    ):
        image, audio, digit, speaker = columns(getattr(dataset, split))
        assert known is not None
        batch = known.fetch(torch.arange(len(known)))
        distance = torch.cdist(image.flatten(1).float(), batch.inputs["image"].flatten(1).float())
        nearest = distance.min(dim=1)
        assert nearest.values.max() < 28  # within one step of each pixel
        assert torch.equal(batch.targets["digit"][nearest.indices], digit)
        number = heard(audio) - 1
        assert torch.equal(number // 10 % 10, digit)
        assert torch.equal(number // 100, speaker)
        assert set((number % 10).tolist()) <= set(indices)


def test_no_image_and_no_recording_is_in_two_splits(root: str) -> None:
    dataset = load(root, **QUIET, num_components=784, num_test=None)
    splits = [columns(rows) for rows in (dataset.train, dataset.val, dataset.test)]
    images = [{image.numpy().tobytes() for image in split[0]} for split in splits]
    clips = [set(heard(split[1]).tolist()) for split in splits]
    assert [len(found) for found in images] == [160, 40, 40]
    assert [len(found) for found in clips] == [80, 20, 40]
    for found in (images, clips):
        assert not found[0] & found[1]
        assert not (found[0] | found[1]) & found[2]


def test_recordings_occur_about_equally_often(root: str) -> None:
    _, audio, digit, speaker = columns(load(root, **QUIET, num_test=None).train)
    counts = heard(audio).bincount()
    assert set(counts[counts > 0].tolist()) == {2}  # 16 images of each digit, 8 recordings
    assert (10 * speaker + digit).bincount().tolist() == [8] * 20


@pytest.mark.parametrize("count", [1, 4])
def test_images_keep_the_first_components_of_training_images(root: str, count: int) -> None:
    """A singular value decomposition of all training images is the oracle."""
    from sklearn.decomposition import PCA

    mnist = load_torchvision("MNIST", root, download=False)
    pixels = mnist.train.fetch(torch.arange(TRAIN)).inputs["image"]
    oracle = PCA(count, svd_solver="full").fit(pixels.flatten(1).double().numpy())
    ours = fitted_components(pixels, count)
    explained = ours.explained_variance_ratio_.sum()
    assert explained == pytest.approx(oracle.explained_variance_ratio_.sum())
    assert mnist.test is not None
    other = mnist.test.fetch(torch.arange(TEST)).inputs["image"]
    scores = oracle.transform(other.flatten(1).double().numpy())
    expected = oracle.inverse_transform(scores).round().clip(0, 255)
    np.testing.assert_allclose(kept(ours, other).flatten(1).numpy(), expected, atol=1)


def test_noise_is_as_strong_as_asked_while_the_recording_lasts(root: str) -> None:
    """Sounds four times as long as their tones: noise alone in the rest of each."""
    audio = columns(load(root, snr_db=(6.0, 6.0), seconds=4 * SECONDS, num_train=160).train)[1]
    tail, head = audio[:, LENGTH:].square().mean(), audio[:, :LENGTH].square().mean()
    ratio = 10 * float(((head - tail) / tail).log10())
    assert ratio == pytest.approx(6.0, abs=0.3)


def test_the_strength_of_noise_is_drawn_for_each_row(root: str) -> None:
    audio = columns(load(root, snr_db=(-10.0, 10.0), seconds=4 * SECONDS, num_train=160).train)[1]
    tail, head = (part.square().mean(dim=1) for part in (audio[:, LENGTH:], audio[:, :LENGTH]))
    decibels = 10 * ((head - tail).clamp(min=1e-9) / tail).log10()
    assert float(decibels.quantile(0.1)) < -4
    assert float(decibels.quantile(0.9)) > 6


def test_rows_lack_a_modality_as_often_as_asked_and_never_both(root: str) -> None:
    dataset = load(root, missing_image=0.3, missing_audio=0.5, num_train=160)
    present = dataset.train.fetch(torch.arange(160)).present
    assert not (~present["image"] & ~present["audio"]).any()
    assert float((~present["image"]).float().mean()) == pytest.approx(0.3, abs=0.1)
    assert float((~present["audio"]).float().mean()) == pytest.approx(0.5, abs=0.1)
    assert dataset.test is not None
    assert set(dataset.test.fetch(torch.arange(30)).present) == {"image", "audio"}
    assert not load(root).train.fetch(torch.arange(3)).present
    assert set(load(root, missing_audio=0.5).train.fetch(torch.arange(3)).present) == {"audio"}


def test_the_seed_draws_everything_whatever_the_global_generator(root: str) -> None:
    torch.manual_seed(1)
    first = load(root)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = load(root)
    assert torch.equal(torch.get_rng_state(), before)
    other = load(root, seed=1)
    for split in ("train", "val", "test"):
        mine, same, changed = (columns(getattr(d, split)) for d in (first, second, other))
        assert all(torch.equal(a, b) for a, b in zip(mine, same, strict=True))
        assert not torch.equal(mine[1], changed[1])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"num_train": 161}, "dataset.num_train: 161, but there are 160 images; use 160 or null"),
        ({"num_test": 41}, "dataset.num_test: 41, but there are 40 images"),
        ({"num_components": 785}, "dataset.num_components: 785, but an image has 784 pixels"),
        (
            {"missing_image": 0.6, "missing_audio": 0.5},
            "dataset.missing_image: 0.6 and missing_audio=0.5 add up to more than 1",
        ),
    ],
)
def test_what_is_wrong_is_told(root: str, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        load(root, **options)
    assert str(caught.value).startswith(told)


def test_missing_files_are_told(root: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="train-images-idx3-ubyte"):
        load(str(tmp_path))
    write_mnist(tmp_path, np.zeros((20, 28, 28)), np.zeros((10, 28, 28)))
    with pytest.raises(UserError, match="no WAV files in fsdd"):
        load(str(tmp_path))
    for index in (5, 6, 7):
        record(tmp_path / "fsdd" / f"3_theo_{index}.wav", tone(1))
    with pytest.raises(UserError, match="no recordings with an index up to 4"):
        load(str(tmp_path))
    record(tmp_path / "fsdd" / "3_theo_0.wav", tone(1))
    with pytest.raises(UserError, match="no recording of 0 for the train split"):
        load(str(tmp_path), num_train=None, num_val=None, num_test=None)
    record(tmp_path / "fsdd" / "4_theo_5.wav", tone(1))
    with pytest.raises(UserError, match=r"theo has one recording of 4 with an index above 4"):
        load(str(tmp_path), num_train=None, num_val=None, num_test=None)


@pytest.mark.skipif(
    not ((SHARED / "MNIST").is_dir() and (SHARED / "fsdd").is_dir()),
    reason="the shared data are not beside this checkout",
)
def test_real_files() -> None:
    dataset = load_av_digits(str(SHARED), num_train=1000, num_test=1000, download=False)
    pixels = load_torchvision("MNIST", str(SHARED), download=False).train
    images = pixels.fetch(torch.arange(len(pixels))).inputs["image"]
    assert fitted_components(images, 4).explained_variance_ratio_.sum() == pytest.approx(
        0.28, abs=0.01
    )
    train, test = columns(dataset.train), columns(dataset.test)
    # Nearest neighbours of 1,000 images alone: 66.5 % was had with all 60,000.
    near = torch.cdist(test[0].flatten(1).float(), train[0].flatten(1).float())
    votes = torch.nn.functional.one_hot(train[2][near.topk(50, largest=False).indices], 10)
    accuracy = (votes.sum(dim=1).argmax(dim=1) == test[2]).float().mean()
    assert 0.5 < float(accuracy) < 0.7
    assert len(dataset.classes["speaker"]) == 6
    assert train[3].bincount().min() > 100
