from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as oracle

from jlrun.data.augmentation import image_ops as ops
from jlrun.data.augmentation.image_ops import random_resized_crop, resized_crop
from jlrun.data.augmentation.signal_ops import (
    add_noise,
    change_gain,
    mask_tokens,
    shift_time,
    swap_numbers,
)
from jlrun.data.augmentation.views import Views
from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec, SeriesSpec, TabularSpec
from jlrun.data.streams import Stream

OFF = Views(
    crop=1, flip=0, jitter=0, grayscale=0, gain_db=0, time_shift=0, noise=0, swap=0, mask_tokens=0
)
# name -> options that change an input of the kind
IMAGE_VIEWS = {
    "crop": replace(OFF, crop=0.2),
    "flip": replace(OFF, flip=0.5),
    "jitter": replace(OFF, jitter=0.8),
    "grayscale": replace(OFF, grayscale=0.3),
    "blur": replace(OFF, blur=0.5),
    "solarize": replace(OFF, solarize=0.2),
    "defaults": Views(),
}
each_image = pytest.mark.parametrize("views", IMAGE_VIEWS.values(), ids=IMAGE_VIEWS.keys())


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def photos(rows: int = 6, channels: int = 3, height: int = 12, width: int = 9) -> Tensor:
    return torch.rand((rows, channels, height, width), generator=seeded(7))


def per_image(images: Tensor, values: Tensor, function) -> Tensor:
    return torch.stack([function(x, float(v)) for x, v in zip(images, values, strict=True)])


# torchvision's function on one image at a time is the oracle of each operation on a batch.
FACTORS = torch.tensor([0.0, 0.3, 0.9, 1.0, 1.4, 3.0])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_strengths_are_those_of_torchvision(name: str, channels: int) -> None:
    images = photos(channels=channels)
    expected = per_image(images, FACTORS, getattr(oracle, f"adjust_{name}"))
    found = getattr(ops, f"adjust_{name}")(images, FACTORS)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_hue_is_that_of_torchvision() -> None:
    images = photos()
    images[0, :, 0, :3] = torch.eye(3)  # pure colours
    images[1, :, 0, 0] = 0.5  # gray
    images[2, :, 0, 0] = 0.0
    turns = torch.tensor([-0.5, -0.2, 0.0, 0.1, 0.33, 0.5])
    expected = per_image(images, turns, oracle.adjust_hue)
    torch.testing.assert_close(ops.adjust_hue(images, turns), expected, rtol=0, atol=1e-5)


def test_grayscale_and_solarize_are_those_of_torchvision() -> None:
    images = photos()
    gray = oracle.rgb_to_grayscale(images, num_output_channels=3)
    torch.testing.assert_close(ops.to_grayscale(images), gray, rtol=0, atol=1e-5)
    images[0, 0, 0, 0] = 0.5
    torch.testing.assert_close(ops.solarize(images), oracle.solarize(images, 0.5), rtol=0, atol=0)


@pytest.mark.parametrize("size", [3, 5, 9])
def test_blur_is_that_of_torchvision(size: int) -> None:
    images, sigmas = photos(), torch.tensor([0.1, 0.4, 0.9, 1.0, 1.6, 2.0])
    expected = per_image(images, sigmas, lambda x, s: oracle.gaussian_blur(x, [size, size], [s, s]))
    found = ops.gaussian_blur(images, sigmas, size)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("antialias", [False, True])
def test_a_resized_crop_is_that_of_torchvision(antialias: bool) -> None:
    boxes = torch.tensor(
        [[0, 0, 12, 9], [0, 0, 5, 4], [7, 5, 5, 4], [3, 2, 1, 1], [2, 0, 10, 9], [0, 3, 7, 2]]
    )
    images = photos()
    expected = torch.stack(
        [
            oracle.resized_crop(x, *box.tolist(), size=[12, 9], antialias=antialias)
            for x, box in zip(images, boxes, strict=True)
        ]
    )
    found = resized_crop(images, *boxes.float().unbind(1))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_random_crops_cover_the_asked_shares_everywhere() -> None:
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    places = torch.stack([y, x]).expand(4000, 2, 40, 40)
    cropped = random_resized_crop(places, 0.25, seeded())
    low, high = cropped.flatten(2).amin(2), cropped.flatten(2).amax(2)
    sides = high - low + 1
    area = sides.prod(1) / 1600
    assert 0.22 < area.min() < 0.27
    assert area.max() == 1
    assert area.mean() == pytest.approx(0.625, abs=0.03)  # of a uniform share, cut at the border
    assert (sides[:, 0] / sides[:, 1]).max() < 4 / 3 + 0.1
    assert (sides[:, 1] / sides[:, 0]).max() < 4 / 3 + 0.1
    assert low.amin(0).tolist() == [0, 0]
    assert high.amax(0).tolist() == [39, 39]


@each_image
@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_views_of_images_stay_images(views: Views, rows: int, channels: int) -> None:
    images = photos(rows, channels)
    for view in views(Batch({"image": images}), seeded()):
        assert view["image"].shape == images.shape
        assert view["image"].dtype == images.dtype
        assert 0 <= view["image"].min() <= view["image"].max() <= 1


@each_image
def test_the_generator_alone_decides(views: Views) -> None:
    batch = Batch({"image": photos(32)})
    before, global_state = batch.inputs["image"].clone(), torch.get_rng_state()
    first, again, other = (views(batch, seeded(seed)) for seed in (0, 0, 1))
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0]["image"], other[0]["image"])
    assert not torch.equal(first[0]["image"], first[1]["image"])
    assert torch.equal(batch.inputs["image"], before)
    assert torch.equal(global_state, torch.get_rng_state())


@each_image
def test_rows_differ_from_each_other(views: Views) -> None:
    same = Batch({"image": photos(1).expand(64, -1, -1, -1).clone()})
    assert len(views(same, seeded())[0]["image"].flatten(1).unique(dim=0)) > 1


def test_without_any_change_views_are_the_inputs() -> None:
    batch = Batch(
        {
            "image": photos(),
            "wave": torch.randn(6, 100),
            "numbers": torch.randn(6, 4),
            "text": torch.randint(0, 9, (6, 5)),
        }
    )
    for view in OFF(batch, seeded()):
        assert view.keys() == batch.inputs.keys()
        for name, x in batch.inputs.items():
            torch.testing.assert_close(view[name], x, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "share"), [("jitter", 0.8), ("grayscale", 0.3), ("blur", 0.5), ("solarize", 0.2)]
)
def test_changes_come_about_as_often_as_asked(name: str, share: float) -> None:
    images = photos(3000, 3, 4, 4)
    view, _ = IMAGE_VIEWS[name](Batch({"image": images}), seeded())
    changed = (view["image"] != images).flatten(1).any(1)
    assert changed.float().mean().item() == pytest.approx(share, abs=0.03)


def test_jitter_stays_within_its_strengths() -> None:
    gray = torch.full((4000, 1, 2, 2), 0.4)
    only = replace(OFF, jitter=1.0, brightness=0.3, contrast=0, saturation=0, hue=0)
    factor = only(Batch({"image": gray}), seeded())[0]["image"][:, 0, 0, 0] / 0.4
    assert 0.7 - 1e-4 <= factor.min() < 0.71
    assert 1.29 < factor.max() <= 1.3 + 1e-4


def test_waves_become_louder_later_and_noisier() -> None:
    waves = torch.randn(500, 200, generator=seeded(1))
    level = change_gain(waves, 6.0, seeded()).norm(dim=1) / waves.norm(dim=1)
    decibels = 20 * level.log10()
    assert -6 <= decibels.min() < -5.8
    assert 5.8 < decibels.max() <= 6

    impulse = F.one_hot(torch.full((500,), 100), 200).float()
    moved = shift_time(impulse, 0.1, seeded()).argmax(1) - 100
    assert moved.min() == -20
    assert moved.max() == 20
    silent = shift_time(torch.ones(500, 200), 0.1, seeded())
    assert 160 * 500 < silent.sum() < 200 * 500

    noise = add_noise(waves, 0.5, seeded()) - waves
    relative = noise.norm(dim=1) / waves.norm(dim=1)
    assert 0 <= relative.min() < 0.01
    assert 0.45 < relative.max() < 0.6
    assert torch.equal(add_noise(torch.zeros(2, 200), 0.5, seeded()), torch.zeros(2, 200))


def test_numbers_are_swapped_for_those_of_other_rows_in_their_place() -> None:
    x = torch.arange(2000.0)[:, None] + torch.tensor([0.0, 10_000.0, 20_000.0])
    swapped = swap_numbers(x, 0.25, seeded())
    assert torch.equal(swapped // 10_000, x // 10_000)
    assert (swapped != x).float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_tokens_become_unknown_and_padding_stays() -> None:
    tokens = torch.cat([torch.full((1000, 10), 7), torch.zeros(1000, 5, dtype=torch.long)], dim=1)
    masked = mask_tokens(tokens, 0.15, seeded())
    assert torch.equal(masked[:, 10:], tokens[:, 10:])
    assert set(masked[:, :10].unique().tolist()) == {1, 7}
    assert (masked[:, :10] == 1).float().mean().item() == pytest.approx(0.15, abs=0.01)


TABLE = TabularSpec(("a", "b"), (0.0,) * 2, (1.0,) * 2, ("k",), (("x", "y", "z"),))
SERIES = SeriesSpec(50, 2, (0.0,) * 2, (1.0,) * 2)


def table(rows: int) -> Tensor:
    numbers = torch.randn(rows, 2, generator=seeded(2)) * torch.tensor([1.0, 100.0])
    numbers[::3, 0] = torch.nan
    return torch.cat([numbers, torch.arange(rows)[:, None] % 4], dim=1)


def test_cells_are_swapped_and_only_numbers_are_disturbed() -> None:
    batch = Batch({"tabular": table(3000)})
    cells = batch.inputs["tabular"]
    noisy = replace(OFF, noise=0.1)(batch, seeded(), {"tabular": TABLE})[0]["tabular"]
    assert torch.equal(noisy[:, 2], cells[:, 2])
    assert torch.equal(noisy[:, :2].isnan(), cells[:, :2].isnan())
    change = (noisy - cells)[:, :2]
    for column, spread in ((0, 0.1), (1, 10.0)):
        found = change[:, column][~change[:, column].isnan()]
        assert found.std().item() == pytest.approx(spread, rel=0.1)

    swapped = replace(OFF, swap=0.25)(batch, seeded(), {"tabular": TABLE})[0]["tabular"]
    changed = ~torch.isclose(swapped, cells, rtol=0, atol=0, equal_nan=True)
    expected = torch.tensor([0.25 * (1 - 1 / 9), 0.25, 0.25 * 3 / 4])  # of those that differ
    torch.testing.assert_close(changed.float().mean(dim=0), expected, rtol=0, atol=0.03)
    assert set(swapped[:, 2].unique().tolist()) == {0, 1, 2, 3}


def test_cells_of_absent_rows_are_not_swapped_in() -> None:
    x, present = torch.zeros(200, 2), torch.arange(200) % 2 == 0
    x[~present] = torch.nan  # the filler
    swapped = swap_numbers(x, 0.5, seeded(), present)
    assert swapped[present].eq(0).all()
    assert swap_numbers(x, 0.5, seeded(), torch.zeros(200).bool()) is x


def test_series_are_disturbed_and_lose_steps() -> None:
    x = torch.randn(400, 50, 2, generator=seeded(1)) * torch.tensor([1.0, 100.0])
    x[:, 40:] = torch.nan
    batch, specs = Batch({"series": x}), {"series": SERIES}
    noisy = replace(OFF, noise=0.1)(batch, seeded(), specs)[0]["series"]
    assert torch.equal(noisy.isnan(), x.isnan())
    spread = (noisy - x)[:, :40].std(dim=(0, 1))
    torch.testing.assert_close(spread, torch.tensor([0.1, 10.0]), rtol=0.1, atol=0)
    hidden = replace(OFF, mask_tokens=0.15)(batch, seeded(), specs)[0]["series"]
    lost = hidden.isnan()[:, :40]
    assert torch.equal(lost.all(dim=2), lost.any(dim=2))  # a step as a whole
    assert lost.float().mean().item() == pytest.approx(0.15, abs=0.01)
    assert torch.equal(hidden[:, :40][~lost], x[:, :40][~lost])


@pytest.mark.parametrize("rows", [1, 3])
def test_tables_and_series_keep_their_form(rows: int) -> None:
    batch = Batch({"tabular": table(rows), "series": torch.full((rows, 50, 2), torch.nan)})
    for view in Views()(batch, seeded(), {"tabular": TABLE, "series": SERIES}):
        for name, x in batch.inputs.items():
            assert view[name].shape == x.shape
            assert view[name].dtype == x.dtype
        assert torch.isin(view["tabular"][:, 2], torch.arange(4.0)).all()
        assert view["series"].isnan().all()


def test_a_stream_tells_the_views_what_its_rows_are() -> None:
    stream = Stream(
        "dataset",
        TensorRows({"tabular": table(8)}, {"label": torch.arange(8)}),
        specs={"tabular": TABLE},
        batch_size=8,
        seed=0,
        device=torch.device("cpu"),
        views=Views(swap=0.0, noise=3.0),
        memory_budget=10**6,
    )
    (batch,) = stream.batches(0, 1)
    for view in batch.views:
        assert torch.equal(view["tabular"][:, 2], batch.inputs["tabular"][:, 2])


@pytest.mark.parametrize("rows", [1, 3])
def test_every_kind_of_input_keeps_its_form(rows: int) -> None:
    batch = Batch(
        {
            "wave": torch.randn(rows, 100),
            "numbers": torch.randn(rows, 4),
            "points": torch.zeros(rows, 5, 3),  # constant
            "text": torch.randint(0, 9, (rows, 5)),
        }
    )
    for view in Views()(batch, seeded()):
        for name, x in batch.inputs.items():
            assert view[name].shape == x.shape
            assert view[name].dtype == x.dtype
            assert view[name].isfinite().all()


def test_a_stream_yields_normalised_views_that_repeat() -> None:
    images = torch.randint(0, 256, (8, 3, 6, 6), dtype=torch.uint8, generator=seeded(3))
    stream = Stream(
        "dataset",
        TensorRows({"image": images}, {"label": torch.arange(8)}),
        specs={"image": ImageSpec(3, 6, 6, (0.5,) * 3, (0.25,) * 3)},
        batch_size=4,
        seed=0,
        device=torch.device("cpu"),
        views=Views(),
        memory_budget=10**6,
    )
    batch, again = next(stream.batches(1, 2)), next(stream.batches(1, 2))
    assert len(batch.views) == 2
    assert torch.equal(batch.views[1]["image"], again.views[1]["image"])
    assert batch.view(0).inputs["image"].min() >= -2
    assert batch.view(0).inputs["image"].max() <= 2
    assert not torch.equal(batch.view(0).inputs["image"], batch.inputs["image"])


@pytest.mark.gpu
@each_image
def test_a_gpu_makes_the_views_that_the_cpu_does(views: Views) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    batch = Batch({"image": photos(32)})
    for cpu, gpu in zip(
        views(batch, seeded()), views(batch.to(torch.device("cuda")), seeded()), strict=True
    ):
        torch.testing.assert_close(gpu["image"].cpu(), cpu["image"], rtol=0, atol=1e-5)
