"""Augmentation: what each change may and may not do to a row, driven by its generator alone."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

from jlrun.data.augmentation.augment import Augment
from jlrun.data.batch import Batch
from jlrun.data.pixel_order import is_channels_last
from jlrun.data.specs import SeriesSpec, TabularSpec
from jlrun.data.transforms import to_unit

EACH = {
    "crop": Augment(crop=2),
    "flip": Augment(flip=0.5),
    "shift": Augment(shift=0.2),
    "rotate": Augment(rotate=30.0),
    "erase": Augment(erase=0.5),
    "mixup": Augment(mixup=0.4),
    "cutmix": Augment(cutmix=1.0),
    "both": Augment(mixup=0.4, cutmix=1.0),
}
each = pytest.mark.parametrize("augment", EACH.values(), ids=EACH.keys())


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def make_batch(rows: int = 64, height: int = 10, width: int = 8, **columns) -> Batch:
    images = torch.rand((rows, 3, height, width), generator=seeded(7))
    return Batch({"image": images}, {"row": torch.arange(rows)}, **columns)


def image(batch: Batch) -> Tensor:
    return batch.inputs["image"]


def test_nothing_on_is_the_batch_itself() -> None:
    batch = make_batch()
    assert Augment()(batch, seeded()) is batch


@each
def test_the_generator_alone_decides(augment: Augment) -> None:
    batch = make_batch()
    before, global_state = image(batch).clone(), torch.get_rng_state()
    first, again, other = (augment(batch, seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(image(first), image(again))
    assert not torch.equal(image(first), image(other))
    assert torch.equal(image(batch), before)
    assert torch.equal(global_state, torch.get_rng_state())


@each
def test_channels_last_images_get_the_same_numbers(augment: Augment) -> None:
    batch = Batch({"image": torch.randint(256, (64, 3, 10, 8), generator=seeded()).byte()}, {})
    last = image(batch).contiguous(memory_format=torch.channels_last)
    again = image(augment(Batch({"image": last}, {}), seeded()))
    assert torch.equal(again, image(augment(batch, seeded())))
    if augment.crop or augment.flip:  # else what follows copies them once more
        assert is_channels_last(again)


@each
def test_rows_differ_from_each_other(augment: Augment) -> None:
    one = make_batch(1)
    same = Batch({"image": image(one).repeat(64, 1, 1, 1)}, {"row": torch.arange(64)})
    if augment.mixup or augment.cutmix:
        weights = augment(same, seeded()).mix_weight
        assert weights is not None
        assert len(weights.unique()) > 10
    else:
        assert len(image(augment(same, seeded())).flatten(1).unique(dim=0)) > 1


@each
@pytest.mark.parametrize("rows", [1, 2])
def test_small_batches_keep_their_form(augment: Augment, rows: int) -> None:
    batch = make_batch(rows)
    augmented = augment(batch, seeded())
    assert image(augmented).shape == image(batch).shape
    assert image(augmented).isfinite().all()
    assert image(augmented).min() >= 0
    assert image(augmented).max() <= 1


def test_a_crop_is_a_window_of_the_padded_image() -> None:
    batch = make_batch(200)
    padded = torch.nn.functional.pad(image(batch), [2] * 4)
    seen = set()
    for row, crop in enumerate(image(Augment(crop=2)(batch, seeded()))):
        offsets = [(y, x) for y in range(5) for x in range(5)]
        fitting = [
            (y, x) for y, x in offsets if torch.equal(crop, padded[row, :, y : y + 10, x : x + 8])
        ]
        assert len(fitting) == 1
        seen.update(fitting)
    assert len(seen) == 25


@each
def test_bytes_become_what_their_floats_become(augment: Augment) -> None:
    drawn = torch.randint(256, (64, 3, 10, 8), generator=seeded(7), dtype=torch.uint8)
    columns = {"row": torch.arange(64)}
    as_bytes = augment(Batch({"image": drawn, "text": drawn[:, 0, 0]}, columns), seeded())
    as_floats = augment(to_unit(Batch({"image": drawn, "text": drawn[:, 0, 0]}, columns)), seeded())
    for name, x in as_floats.inputs.items():
        assert x.dtype == as_bytes.inputs[name].dtype == torch.float32
        assert torch.equal(x, as_bytes.inputs[name])


def test_a_flip_mirrors_about_the_asked_share() -> None:
    batch = make_batch(2000, 2, 4)
    flipped = image(Augment(flip=0.3)(batch, seeded()))
    mirrored = (flipped == image(batch).flip(3)).flatten(1).all(1)
    kept = (flipped == image(batch)).flatten(1).all(1)
    assert bool((mirrored ^ kept).all())
    assert mirrored.float().mean().item() == pytest.approx(0.3, abs=0.04)
    assert torch.equal(image(Augment(flip=1.0)(batch, seeded())), image(batch).flip(3))


def test_a_shift_stays_within_its_share() -> None:
    dots = torch.zeros(500, 1, 21, 41)
    dots[:, :, 10, 20] = 1
    shifted = Augment(shift=0.2)(Batch({"image": dots}), seeded()).inputs["image"]
    y = (shifted.sum(3)[:, 0] * torch.arange(21)).sum(1) - 10
    x = (shifted.sum(2)[:, 0] * torch.arange(41)).sum(1) - 20
    torch.testing.assert_close(shifted.sum((1, 2, 3)), torch.ones(500))
    assert 3.8 < y.abs().max() <= 0.2 * 21 + 1e-4
    assert 7.8 < x.abs().max() <= 0.2 * 41 + 1e-4


def test_a_rotation_keeps_distances_in_an_oblong_image() -> None:
    dots = torch.zeros(500, 1, 21, 41)
    dots[:, :, 10, 26] = 1
    rotated = Augment(rotate=60.0)(Batch({"image": dots}), seeded()).inputs["image"]
    mass = rotated.sum((1, 2, 3))
    y = (rotated.sum(3)[:, 0] * torch.arange(21)).sum(1) / mass - 10
    x = (rotated.sum(2)[:, 0] * torch.arange(41)).sum(1) / mass - 20
    torch.testing.assert_close((y**2 + x**2).sqrt(), torch.full((500,), 6.0), atol=0.2, rtol=0)
    angle = torch.atan2(y, x).rad2deg()
    assert 55 < angle.abs().max() < 62
    assert angle.min() < 0 < angle.max()


def test_an_erased_box_has_the_size_of_the_paper() -> None:
    """Zhong et al., AAAI 2020: 2 % to 40 % of the image, sides in a ratio up to 1 / 0.3."""
    blank = Batch({"image": torch.zeros(1000, 1, 40, 40)})
    touched = Augment(erase=0.5)(blank, seeded()).inputs["image"][:, 0] > 0
    erased = touched.flatten(1).any(1)
    assert erased.float().mean().item() == pytest.approx(0.5, abs=0.05)
    heights = touched[erased].any(2).sum(1)
    widths = touched[erased].any(1).sum(1)
    assert torch.equal(touched[erased].sum((1, 2)), heights * widths)
    areas = heights * widths / 1600
    assert 0.015 < areas.min() < 0.04
    assert 0.37 < areas.max() < 0.42
    assert (heights / widths).max() < 1 / 0.3 + 0.5
    assert (widths / heights).max() < 1 / 0.3 + 0.5


def test_mixup_is_the_weighted_mean_of_both_rows() -> None:
    batch = make_batch()
    mixed = Augment(mixup=0.4)(batch, seeded())
    weight, other = mixed.mix_weight, mixed.mixed_targets["row"]
    assert weight is not None
    share = weight.view(-1, 1, 1, 1)
    expected = share * image(batch) + (1 - share) * image(batch)[other]
    torch.testing.assert_close(image(mixed), expected)
    assert torch.equal(mixed.targets["row"], batch.targets["row"])
    assert other.sort().values.tolist() == [*range(64)]


def test_mixup_weights_are_beta_distributed() -> None:
    """Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1))."""
    weight = Augment(mixup=0.4)(make_batch(20_000, 1, 1), seeded()).mix_weight
    assert weight is not None
    assert weight.mean().item() == pytest.approx(0.5, abs=0.01)
    assert weight.var().item() == pytest.approx(1 / (4 * 1.8), abs=0.005)


def test_cutmix_pastes_one_box_and_weighs_by_its_area() -> None:
    batch = make_batch()
    mixed = Augment(cutmix=1.0)(batch, seeded())
    weight, other = mixed.mix_weight, mixed.mixed_targets["row"]
    assert weight is not None
    pasted = (image(mixed) != image(batch)).any(1)
    moved = other != torch.arange(64)
    box = pasted.any(2).sum(1) * pasted.any(1).sum(1)
    assert torch.equal(pasted.sum((1, 2)), box)
    torch.testing.assert_close(1 - box[moved] / 80, weight[moved])
    from_other = torch.where(pasted[:, None], image(batch)[other], image(batch))
    assert torch.equal(image(mixed), from_other)
    assert len(box.unique()) > 20


def test_with_both_each_batch_takes_one() -> None:
    batch, augment = make_batch(), Augment(mixup=0.4, cutmix=1.0)
    cut = 0
    for seed in range(100):
        weight = augment(batch, seeded(seed)).mix_weight
        assert weight is not None
        cut += torch.allclose(weight * 80, (weight * 80).round(), atol=1e-4)
    assert 30 < cut < 70


def test_audio_is_mixed_with_the_weight_of_the_image_and_text_is_not() -> None:
    batch = make_batch()
    audio, text = torch.rand(64, 5), torch.arange(64)[:, None]
    three = Batch({**batch.inputs, "audio": audio, "text": text}, batch.targets)
    for augment in (Augment(mixup=0.4), Augment(cutmix=1.0)):
        mixed = augment(three, seeded())
        assert mixed.mix_weight is not None
        share, other = mixed.mix_weight[:, None], mixed.mixed_targets["row"]
        torch.testing.assert_close(
            mixed.inputs["audio"], share * audio + (1 - share) * audio[other]
        )
        assert torch.equal(mixed.inputs["text"], text)


def test_of_a_table_numbers_are_averaged_and_categories_are_one_or_the_other() -> None:
    names = ("k", "l")
    spec = TabularSpec(("a",), (0.0,), (1.0,), names, (tuple("uvwxyz"),) * 2)
    numbers = torch.randn(4000, 1, generator=seeded(1))
    numbers[::5] = torch.nan
    cells = torch.cat([numbers, torch.tensor([[1.0, 6.0], [4.0, 0.0]]).repeat(2000, 1)], dim=1)
    batch = Batch({"tabular": cells}, {"row": torch.arange(4000)})
    for augment in (Augment(mixup=1.0), Augment(cutmix=1.0)):
        mixed = augment(batch, seeded(), {"tabular": spec})
        found, other = mixed.inputs["tabular"], cells[mixed.mixed_targets["row"]]
        weight = mixed.mix_weight
        assert weight is not None
        expected = weight * cells[:, 0] + (1 - weight) * other[:, 0]
        expected = torch.where(expected.isnan(), cells[:, 0], expected)
        torch.testing.assert_close(found[:, 0], expected, equal_nan=True)
        own, others = found[:, 1:] == cells[:, 1:], found[:, 1:] == other[:, 1:]
        assert (own | others).all()
        differ = cells[:, 1] != other[:, 1]
        kept = own[differ].float().mean(dim=1)
        assert kept.mean() == pytest.approx(0.5, abs=0.03)
        assert torch.corrcoef(torch.stack([kept, weight[differ]]))[0, 1] > 0.5


def test_of_series_holes_stay_the_rows_own() -> None:
    spec = SeriesSpec(3, 1, (0.0,), (1.0,))
    series = torch.rand(64, 3, 1, generator=seeded(1))
    series[::2, 2] = torch.nan
    batch = Batch({"series": series}, {"row": torch.arange(64)})
    mixed = Augment(mixup=0.4)(batch, seeded(), {"series": spec})
    assert torch.equal(mixed.inputs["series"].isnan(), series.isnan())


def test_rows_of_different_kinds_are_not_mixed() -> None:
    present, labelled = torch.arange(64) % 2 > 0, torch.arange(64) % 3 > 0
    batch = make_batch(present={"image": present}, labelled={"row": labelled})
    for augment in (Augment(mixup=0.4), Augment(cutmix=1.0)):
        mixed = augment(batch, seeded())
        other, weight = mixed.mixed_targets["row"], mixed.mix_weight
        assert weight is not None
        alike = (present == present[other]) & (labelled == labelled[other])
        assert bool((weight[~alike] == 1).all())
        assert bool((weight[alike] < 1).any())
        assert torch.equal(image(mixed)[~alike], image(batch)[~alike])
        assert torch.equal(mixed.labelled["row"], labelled)


@pytest.mark.gpu
@each
def test_a_gpu_augments_as_the_cpu_does(augment: Augment) -> None:
    """But for the noise in erased boxes, which each device draws itself."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    batch = make_batch()
    cpu, gpu = augment(batch, seeded()), augment(batch.to(torch.device("cuda")), seeded())
    if not augment.erase:
        torch.testing.assert_close(image(gpu).cpu(), image(cpu))
    assert torch.equal(
        (image(cpu) != image(batch)).any(1), (image(gpu).cpu() != image(batch)).any(1)
    ) or bool(augment.rotate or augment.shift)
