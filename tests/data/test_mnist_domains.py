"""Domains made of MNIST's files: rotated, coloured, and blended with pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.mnist_domains import load_coloured_mnist, load_rotated_mnist
from jlrun.data.datasets.mnist_m import (
    NUM_TEXTURES,
    cut_patches,
    difference,
    draw_textures,
    load_mnist_m,
    load_published_mnist_m,
    read_photos,
)
from jlrun.data.rows import Rows
from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError
from tests.data.idx_files import write_mnist

CONF = Path(__file__).parents[2] / "conf" / "dataset"
SHARED = Path(__file__).parents[3] / "shared" / "data"
LOADERS: dict[str, Callable[..., Dataset]] = {
    "rotated_mnist": load_rotated_mnist,
    "coloured_mnist": load_coloured_mnist,
    "mnist_m": load_mnist_m,
}
TRAIN, TEST = 60, 20
every = pytest.mark.parametrize("name", LOADERS)
needs_mnist = pytest.mark.skipif(
    not (SHARED / "MNIST").is_dir(), reason="the shared data are not beside this checkout"
)


def digits(count: int) -> np.ndarray:
    """Blurred noise in the middle of black images: smooth, and with a black border."""
    coarse = np.random.default_rng(count).integers(0, 256, (count, 8, 8), dtype=np.uint8)
    images = [Image.fromarray(x).resize((16, 16), Image.Resampling.BILINEAR) for x in coarse]
    return np.pad(np.stack([np.asarray(x) for x in images]), ((0, 0), (6, 6), (6, 6)))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_mnist(tmp_path_factory.mktemp("data"), digits(TRAIN), digits(TEST)))


@pytest.fixture(scope="module")
def large_root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Many rows, to count labels."""
    images = np.full((20_000, 28, 28), 200, np.uint8)
    return str(write_mnist(tmp_path_factory.mktemp("data"), images, images[:TEST]))


def columns(rows: Rows | None) -> tuple[Tensor, dict[str, Tensor]]:
    assert rows is not None
    batch = rows.fetch(torch.arange(len(rows)))
    return batch.inputs["image"], dict(batch.targets)


@every
def test_rows_are_as_the_yaml_and_the_specs_say(name: str, root: str) -> None:
    config = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    dataset = LOADERS[name](root, download=False)
    assert set(config["tasks"]) <= set(dataset.classes)
    assert next(iter(config["tasks"])) == next(iter(dataset.classes))
    assert config["modalities"] == list(dataset.modalities)
    spec = dataset.modalities["image"]
    assert isinstance(spec, ImageSpec)
    for rows, count in ((dataset.train, TRAIN), (dataset.test, TEST)):
        images, targets = columns(rows)
        assert images.dtype == torch.uint8
        assert images.shape == (count, spec.channels, spec.height, spec.width)
        assert list(targets) == list(dataset.classes)
        assert targets["digit"].tolist() == [i % 10 for i in range(count)]
        assert torch.equal(targets["parity"], targets["digit"] % 2)


@every
def test_parts_divide_the_images(name: str, root: str) -> None:
    whole = LOADERS[name](root, download=False)
    parts = [LOADERS[name](root, part=i, parts=3, download=False) for i in range(3)]
    for split in ("train", "test"):
        images, targets = columns(getattr(whole, split))
        for i, part in enumerate(parts):
            some, labels = columns(getattr(part, split))
            assert torch.equal(some, images[i::3])
            assert all(torch.equal(y, targets[task][i::3]) for task, y in labels.items())


@every
def test_the_same_rows_again_whatever_the_global_generator(name: str, root: str) -> None:
    torch.manual_seed(1)
    first = columns(LOADERS[name](root, download=False).train)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = columns(LOADERS[name](root, download=False).train)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first[0], second[0])
    assert all(torch.equal(y, second[1][task]) for task, y in first[1].items())


@every
def test_what_is_wrong_is_told(name: str, root: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="part: 2, but parts=2; use 0 to 1"):
        LOADERS[name](root, part=2, parts=2, download=False)
    with pytest.raises(UserError, match="parts: 25 parts of 20 images"):
        LOADERS[name](root, part=24, parts=25, download=False)
    with pytest.raises(UserError, match="train-images-idx3-ubyte"):
        LOADERS[name](str(tmp_path), download=False)


def rotated(root: str, angle: float) -> np.ndarray:
    return columns(load_rotated_mnist(root, angle, download=False).train)[0][:, 0].numpy()


def test_right_angles_turn_counter_clockwise(root: str) -> None:
    original = digits(TRAIN)
    assert np.array_equal(rotated(root, 0), original)
    assert np.array_equal(rotated(root, 90), np.rot90(original, axes=(1, 2)))
    assert np.array_equal(rotated(root, -90), np.rot90(original, -1, axes=(1, 2)))
    assert np.array_equal(rotated(root, 180), original[:, ::-1, ::-1])


@pytest.mark.parametrize("angle", [15, 45, 75])
def test_other_angles_are_those_of_pillow(root: str, angle: int) -> None:
    bilinear = Image.Resampling.BILINEAR
    expected = [np.asarray(Image.fromarray(x).rotate(angle, bilinear)) for x in digits(TRAIN)]
    # Pillow interpolates with integers of a few bits.
    assert np.abs(rotated(root, angle).astype(int) - np.stack(expected)).max() <= 2


def test_colour_is_in_one_channel(root: str) -> None:
    images, targets = columns(load_coloured_mnist(root, download=False).train)
    gray = torch.from_numpy(digits(TRAIN))
    rows = torch.arange(TRAIN)
    assert torch.equal(images[rows, targets["colour"]], gray)
    assert not images[rows, 1 - targets["colour"]].any()
    assert not images[:, 2].any()
    assert {0, 1} == set(targets["colour"].tolist())


def test_without_noise_label_and_colour_follow_from_the_digit(root: str) -> None:
    for e, agrees in ((0.0, True), (1.0, False)):
        _, targets = columns(load_coloured_mnist(root, e, 0.0, download=False).train)
        assert torch.equal(targets["label"], (targets["digit"] < 5).long())
        assert torch.equal(targets["colour"] == targets["label"], torch.full((TRAIN,), agrees))


@pytest.mark.parametrize("e", [0.1, 0.2, 0.9])
def test_as_many_labels_and_colours_are_flipped_as_asked_for(large_root: str, e: float) -> None:
    targets = columns(load_coloured_mnist(large_root, e, download=False).train)[1]
    of_digit = (targets["digit"] < 5).long()
    wrong_label = targets["label"] != of_digit
    wrong_colour = targets["colour"] != targets["label"]
    # Four standard deviations of a mean of 20,000 coins.
    assert float(wrong_label.double().mean()) == pytest.approx(0.25, abs=0.0123)
    assert float(wrong_colour.double().mean()) == pytest.approx(e, abs=0.0114)
    both = float((wrong_label & wrong_colour).double().mean())
    assert both == pytest.approx(0.25 * e, abs=0.012)  # independent of each other
    of_low = float(wrong_label[of_digit == 1].double().mean())
    assert of_low == pytest.approx(0.25, abs=0.0174)


def test_an_image_has_one_label_in_all_domains_and_flips_grow(large_root: str) -> None:
    few, many = (
        columns(load_coloured_mnist(large_root, e, download=False).train)[1] for e in (0.1, 0.2)
    )
    assert torch.equal(few["label"], many["label"])
    flipped = few["colour"] != few["label"]
    assert bool((many["colour"] != many["label"])[flipped].all())


@needs_mnist
def test_colour_predicts_the_label_better_than_the_digit_does() -> None:
    """Arjovsky et al., section 5.2: at best 75 % by the digit; 90 % by the colour, or 10 %."""
    accuracy = {}
    for e in (0.1, 0.9):
        dataset = load_coloured_mnist(str(SHARED), e, download=False)
        targets = columns(dataset.test)[1]
        accuracy[e] = float((targets["colour"] == targets["label"]).double().mean())
        by_digit = float(((targets["digit"] < 5).long() == targets["label"]).double().mean())
        assert by_digit == pytest.approx(0.75, abs=0.018)
    assert accuracy == {0.1: pytest.approx(0.9, abs=0.012), 0.9: pytest.approx(0.1, abs=0.012)}


def test_a_blend_is_the_absolute_difference() -> None:
    generator = np.random.default_rng(0)
    patches = generator.integers(0, 256, (5, 3, 28, 28), dtype=np.uint8)
    gray = generator.integers(0, 256, (5, 1, 28, 28), dtype=np.uint8)
    expected = np.abs(patches.astype(int) - gray.astype(int))
    blend = difference(torch.from_numpy(patches), torch.from_numpy(gray))
    assert blend.dtype == torch.uint8
    assert np.array_equal(blend.numpy(), expected)


def test_patches_are_cut_where_the_draws_say() -> None:
    pictures = torch.randint(256, (3, 3, 30, 33), dtype=torch.uint8)
    draws = torch.tensor([[0.0, 0.5, 0.999], [0.0, 0.5, 0.999], [0.0, 0.25, 0.999]])
    patches = cut_patches(pictures, 28, draws)
    assert torch.equal(patches[0], pictures[0, :, :28, :28])
    assert torch.equal(patches[1], pictures[1, :, 1:29, 1:29])
    assert torch.equal(patches[2], pictures[2, :, 2:30, 5:33])


def solid_photos(folder: Path, count: int) -> str:
    folder.mkdir()
    for i in range(count):
        Image.new("RGB", (481, 321), (20 * i, 0, 255 - 20 * i)).save(folder / f"{i:02}.png")
    return str(folder)


def test_photos_of_training_rows_are_not_those_of_test_rows(root: str, tmp_path: Path) -> None:
    photos = solid_photos(tmp_path / "photos", 10)
    dataset = load_mnist_m(root, photos, download=False)
    corners = {
        split: set(columns(getattr(dataset, split))[0][:, 0, 0, 0].tolist())
        for split in ("train", "test")
    }  # the digits are black there, so these are the photos' reds
    assert corners["test"] == {0, 100}
    assert corners["train"] == {20, 40, 60, 80, 120, 140, 160, 180}
    images, _ = columns(dataset.train)
    number = images[:, 0, 0, 0].long() // 20
    colour = torch.stack([20 * number, 0 * number, 255 - 20 * number], dim=1)
    gray = torch.from_numpy(digits(TRAIN)).long()[:, None]
    assert torch.equal(images.long(), (colour[:, :, None, None] - gray).abs())


def test_photos_keep_their_scale_and_lose_their_sides(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (321, 481, 3), dtype=np.uint8)
    (tmp_path / "deeper").mkdir()
    for name in ("a.png", "deeper/b.png"):
        Image.fromarray(pixels).save(tmp_path / name)
    photos = read_photos(str(tmp_path))
    assert photos.shape == (2, 3, 321, 321)
    assert np.array_equal(photos[1].permute(1, 2, 0).numpy(), pixels[:, 80:401])


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_photos_are_told(root: str, tmp_path: Path, count: int) -> None:
    photos = solid_photos(tmp_path / "photos", count)
    with pytest.raises(UserError, match=f"photos=.*: {count} images; expected .* at least 2"):
        load_mnist_m(root, photos, download=False)


def test_missing_photos_are_told(root: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        load_mnist_m(root, str(tmp_path / "none"), download=False)


def test_textures_have_the_spectrum_of_photos_and_colours_of_their_own() -> None:
    textures = draw_textures(NUM_TEXTURES, 64, torch.Generator().manual_seed(0))
    assert textures.shape == (NUM_TEXTURES, 3, 64, 64)
    assert textures.dtype == torch.uint8
    clipped = ((textures == 0) | (textures == 255)).double().mean(dim=(1, 2, 3))
    assert float(clipped.mean()) < 0.1
    whole = textures[clipped.argsort()[:40]].double()
    power = torch.fft.fft2(whole).abs().square().mean(dim=(0, 1))
    frequency = torch.fft.fftfreq(64)
    radius = (frequency[:, None].square() + frequency.square()).sqrt()
    kept = (radius > 0.03) & (radius < 0.4)
    slope = np.polyfit(radius[kept].log().numpy(), power[kept].log().numpy(), 1)[0]
    assert slope == pytest.approx(-2, abs=0.1)  # amplitude over frequency, squared
    means = textures.double().mean(dim=(2, 3)) / 255
    assert means.std(dim=0).min() > 0.1
    centred = whole.flatten(2) - whole.flatten(2).mean(dim=2, keepdim=True)
    likeness = torch.cosine_similarity(centred[:, 0], centred[:, 1]).mean()
    assert float(likeness) == pytest.approx(0.75, abs=0.05)


def test_another_seed_blends_otherwise_but_keeps_the_labels(root: str) -> None:
    first, second = (columns(load_mnist_m(root, seed=s, download=False).train) for s in (0, 1))
    assert not torch.equal(first[0], second[0])
    assert torch.equal(first[1]["digit"], second[1]["digit"])


def write_published(root: Path) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    for split in ("train", "test"):
        folder = root / "mnist_m" / f"mnist_m_{split}"
        folder.mkdir(parents=True)
        for i, image in enumerate(pixels):
            Image.fromarray(image).save(folder / f"{i:08}.png")
        lines = "".join(f"{i:08}.png {(i * 3) % 10}\n" for i in range(5))
        (root / "mnist_m" / f"mnist_m_{split}_labels.txt").write_text(lines)
    return pixels


def test_the_published_images_are_read(tmp_path: Path) -> None:
    pixels = write_published(tmp_path)
    dataset = load_published_mnist_m(str(tmp_path))
    config = yaml.safe_load((CONF / "mnist_m_published.yaml").read_text())
    assert list(config["tasks"]) == list(dataset.classes)
    for rows in (dataset.train, dataset.test):
        images, targets = columns(rows)
        assert np.array_equal(images.permute(0, 2, 3, 1).numpy(), pixels)
        assert targets["digit"].tolist() == [0, 3, 6, 9, 2]
        assert targets["parity"].tolist() == [0, 1, 0, 1, 0]


def test_what_is_wrong_with_the_published_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no folder 'mnist_m'.*dataset=mnist_m makes"):
        load_published_mnist_m(str(tmp_path))
    write_published(tmp_path)
    labels = tmp_path / "mnist_m" / "mnist_m_test_labels.txt"
    labels.write_text("00000000.png 10\n")
    with pytest.raises(UserError, match="has the label 10; expected 0 to 9"):
        load_published_mnist_m(str(tmp_path))
    labels.unlink()
    with pytest.raises(UserError, match=r"mnist_m_test_labels.txt: can't be read"):
        load_published_mnist_m(str(tmp_path))


@needs_mnist
@every
def test_real_digits(name: str) -> None:
    dataset = LOADERS[name](str(SHARED), download=False)
    images, targets = columns(dataset.test)
    assert targets["digit"].bincount().tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    ]
    if name != "mnist_m":
        # MNIST's mean of test images, 0.1325, is in one channel of three or of one.
        total = images.double().sum(dim=1).mean() / 255
        assert float(total) == pytest.approx(0.1325, abs=0.0005)
