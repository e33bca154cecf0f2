"""Streams: every row once per epoch, any step repeatable, the same from memory and from workers."""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from jlrun.data import streams
from jlrun.data.augmentation.augment import Augment
from jlrun.data.batch import Batch
from jlrun.data.rows import FileRows, TensorRows
from jlrun.data.specs import AudioSpec, ImageSpec, TextSpec
from jlrun.data.streams import Stream
from jlrun.errors import UserError

CPU = torch.device("cpu")
IMAGE = ImageSpec(3, 6, 6, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
ALL_ON = Augment(crop=1, flip=0.5, shift=0.1, rotate=10.0, erase=0.5, mixup=0.4, cutmix=0.4)


def make_rows(count: int = 23) -> TensorRows:
    generator = torch.Generator().manual_seed(0)
    return TensorRows(
        {
            "image": torch.randint(256, (count, 3, 6, 6), generator=generator).byte(),
            "audio": torch.rand((count, 12), generator=generator),
            "text": torch.randint(9, (count, 4), generator=generator),
        },
        {"row": torch.arange(count)},
        present={"audio": torch.arange(count) % 3 > 0},
        labelled={"row": torch.arange(count) % 5 > 0},
    )


SPECS = {"image": IMAGE, "audio": AudioSpec(12, 100), "text": TextSpec(tuple("abcdefg"), 4)}


def make_stream(rows=None, **changes) -> Stream:
    values = {
        "specs": SPECS,
        "batch_size": 5,
        "seed": 1,
        "device": CPU,
        "augment": ALL_ON,
        "memory_budget": 10**9,
    }
    return Stream("train", make_rows() if rows is None else rows, **{**values, **changes})


def columns(batch: Batch) -> dict[str, Tensor]:
    groups = ("inputs", "targets", "present", "labelled", "mixed_targets")
    found = {f"{g}.{name}": x for g in groups for name, x in getattr(batch, g).items()}
    return found if batch.mix_weight is None else {**found, "weight": batch.mix_weight}


def assert_equal(first: list[Batch], second: list[Batch]) -> None:
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        a_columns, b_columns = columns(a), columns(b)
        assert a_columns.keys() == b_columns.keys()
        for name, x in a_columns.items():
            assert torch.equal(x, b_columns[name]), name


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [
        (20, 5, [5, 5, 5, 5]),
        (23, 5, [5, 5, 5, 5, 3]),
        (21, 5, [5, 5, 5, 6]),
        (6, 5, [6]),
        (5, 5, [5]),
        (3, 1, [1, 1, 1]),
        (1, 1, [1]),
    ],
)
def test_an_epoch_has_every_row_once(count: int, batch_size: int, sizes: list[int]) -> None:
    stream = make_stream(make_rows(count), batch_size=batch_size, augment=None)
    epoch = list(stream.batches(0, stream.steps_per_epoch))
    assert [batch.size for batch in epoch] == sizes
    assert torch.cat([b.targets["row"] for b in epoch]).sort().values.tolist() == [*range(count)]


def test_order_depends_on_seed_name_and_epoch() -> None:
    stream, rows = make_stream(), make_rows()
    other_name = Stream(
        "other", rows, specs=SPECS, batch_size=5, seed=1, device=CPU, memory_budget=0
    )
    orders = [stream.order(0), stream.order(1), make_stream(seed=2).order(0), other_name.order(0)]
    assert len({tuple(order.tolist()) for order in orders}) == 4
    assert torch.equal(stream.order(0), make_stream(batch_size=7).order(0))


@pytest.mark.parametrize("balanced_by", [None, "kind"])
def test_any_step_can_be_repeated_without_those_before(balanced_by: str | None) -> None:
    rows = make_rows()
    rows.targets["kind"] = (torch.arange(23) > 18).long()
    whole = list(make_stream(rows, balanced_by=balanced_by).batches(0, 12))
    resumed = make_stream(rows, balanced_by=balanced_by)
    assert_equal(whole, [*resumed.batches(0, 4), *resumed.batches(4, 12)])
    again = make_stream(rows, balanced_by=balanced_by)
    assert_equal(whole[7:8], list(again.batches(7, 8)))


def test_classes_are_balanced_in_training_alone() -> None:
    rows = make_rows()
    rows.targets["kind"] = (torch.arange(23) > 18).long()  # 19 and 4 rows
    stream = make_stream(rows, batch_size=4, augment=None, balanced_by="kind")
    for part in (stream, stream.take(torch.arange(1, 23))):
        batches = list(part.batches(0, part.steps_per_epoch))
        assert {tuple(b.targets["kind"].bincount().tolist()) for b in batches[:5]} == {(2, 2)}
        assert sum(b.size for b in batches) == len(part.rows)
    swept = torch.cat([batch.targets["row"] for batch in stream.sweep()])
    assert swept.tolist() == [*range(23)]


@pytest.mark.parametrize("num_bytes", [1, 200, 500, 2**18])
@pytest.mark.parametrize(("count", "batch_size"), [(23, 5), (21, 5), (7, 7), (3, 1)])
def test_batches_made_together_are_those_made_alone(
    count: int, batch_size: int, num_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "BLOCK_BYTES", num_bytes)
    stream = make_stream(make_rows(count), batch_size=batch_size, augment=None)
    alone = make_stream(make_rows(count), batch_size=batch_size, augment=None, memory_budget=0)
    total = 2 * stream.steps_per_epoch + 1
    for start, stop in ((0, total), (1, total - 1), (total - 1, total), (2, 2)):
        assert_equal(list(stream.batches(start, stop)), list(alone.batches(start, stop)))


def test_rows_lie_at_the_same_place_in_memory_wherever_training_begins() -> None:
    stream = make_stream(augment=None)
    whole, resumed = list(stream.batches(0, 5)), list(stream.batches(3, 5))
    offsets = [[b.targets["row"].storage_offset() for b in part] for part in (whole[3:], resumed)]
    assert offsets == [[15, 20], [15, 20]]


@pytest.mark.parametrize("workers", [0, 2])
def test_fetched_batches_equal_those_from_memory(workers: int) -> None:
    memory, fetched = make_stream(), make_stream(memory_budget=0, workers=workers)
    assert_equal(list(memory.batches(3, 9)), list(fetched.batches(3, 9)))
    assert_equal(list(memory.sweep(4)), list(fetched.sweep(4)))


@pytest.mark.parametrize("memory_budget", [0, 10**9])
def test_the_global_generator_is_untouched(memory_budget: int) -> None:
    before = torch.get_rng_state()
    list(make_stream(memory_budget=memory_budget).batches(0, 3))
    assert torch.equal(before, torch.get_rng_state())


def test_workers_end_with_an_iteration_that_is_given_up() -> None:
    batches = make_stream(memory_budget=0, workers=2).batches(0, 100)
    next(batches)
    assert multiprocessing.active_children()
    batches.close()
    assert not multiprocessing.active_children()


@dataclass
class BrokenAt:
    """Decodes black images, but one."""

    broken: int

    def __call__(self, row: int) -> dict[str, Tensor]:
        if row == self.broken:
            raise UserError.of("photo.jpg", "not an image")
        return {"image": torch.zeros(3, 6, 6, dtype=torch.uint8)}


@pytest.mark.parametrize(("memory_budget", "workers"), [(10**9, 0), (0, 0), (0, 2)])
def test_what_a_decoder_reports_comes_out_as_it_is(memory_budget: int, workers: int) -> None:
    rows = FileRows(BrokenAt(4), {"row": torch.arange(9)}, row_bytes=108)
    stream = make_stream(rows, specs={"image": IMAGE}, memory_budget=memory_budget, workers=workers)
    with pytest.raises(UserError) as caught:
        list(stream.batches(0, 2))
    assert str(caught.value) == "photo.jpg: not an image"
    assert not multiprocessing.active_children()


def test_a_batch_larger_than_the_split_takes_all_of_it() -> None:
    stream = make_stream(make_rows(4))
    assert (stream.steps_per_epoch, stream.rows_per_step) == (1, 4)
    batches = list(stream.batches(0, 3))
    assert [batch.size for batch in batches] == [4, 4, 4]
    assert all(sorted(b.targets["row"].tolist()) == [0, 1, 2, 3] for b in batches)
    assert [batch.size for batch in stream.sweep()] == [4]


def test_a_sweep_is_ordered_and_not_augmented() -> None:
    rows = make_rows()
    swept = list(make_stream(rows).sweep(10))
    assert [batch.size for batch in swept] == [10, 10, 3]
    images = torch.cat([batch.inputs["image"] for batch in swept])
    raw = rows.fetch(torch.arange(23))
    mean, std = torch.tensor(IMAGE.mean).view(3, 1, 1), torch.tensor(IMAGE.std).view(3, 1, 1)
    torch.testing.assert_close(images, (raw.inputs["image"] / 255 - mean) / std)
    for name in ("targets.row", "labelled.row", "present.audio", "inputs.text"):
        assert torch.equal(torch.cat([columns(b)[name] for b in swept]), columns(raw)[name])


def test_an_empty_split_has_an_empty_sweep() -> None:
    empty = TensorRows({"image": torch.zeros(0, 3, 6, 6).byte()}, {"row": torch.zeros(0)})
    assert list(make_stream(empty, specs={"image": IMAGE}).sweep()) == []


def test_modalities_without_a_spec_are_left_out() -> None:
    batch = next(make_stream(specs={"image": IMAGE}).sweep())
    assert list(batch.inputs) == ["image"]
    assert batch.present == {}


def test_inputs_take_the_form_of_the_model() -> None:
    gray = ImageSpec(1, 8, 8, (0.1,), (0.1,))
    model = {"image": gray, "audio": AudioSpec(15, 100)}
    batch = next(make_stream(model_specs=model, channels_last=True).batches(0, 1))
    assert batch.inputs["image"].shape == (5, 1, 8, 8)
    assert batch.inputs["audio"].shape == (5, 15)
    short = next(make_stream(model_specs={"audio": AudioSpec(7, 100)}, augment=None).sweep())
    assert torch.equal(
        short.inputs["audio"], make_rows().fetch(torch.arange(5)).inputs["audio"][:, :7]
    )


def test_gray_rows_for_a_colour_model_are_normalised_with_their_own_statistics() -> None:
    gray = ImageSpec(1, 4, 4, (0.5,), (0.25,))
    rows = TensorRows({"image": torch.full((2, 1, 4, 4), 255).byte()}, {"row": torch.arange(2)})
    colour = replace(IMAGE, height=4, width=4)
    stream = make_stream(
        rows, specs={"image": gray}, model_specs={"image": colour}, channels_last=True
    )
    images = next(stream.sweep()).inputs["image"]
    assert torch.equal(images, torch.full((2, 3, 4, 4), 2.0))
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_a_change_of_colour_keeps_gray_pixels() -> None:
    rows = TensorRows({"image": torch.full((1, 3, 4, 4), 51).byte()}, {"row": torch.arange(1)})
    specs = {"image": ImageSpec(3, 4, 4, (0.1, 0.1, 0.1), (0.5, 0.5, 0.5))}
    model = {"image": ImageSpec(1, 4, 4, (), ())}
    images = next(make_stream(rows, specs=specs, model_specs=model).sweep(1)).inputs["image"]
    torch.testing.assert_close(images, torch.full((1, 1, 4, 4), 0.2))


@pytest.mark.parametrize(
    "augment", [Augment(), Augment(crop=1, flip=0.5), ALL_ON], ids=["plain", "pixels", "all"]
)
def test_the_memory_format_changes_no_number(augment: Augment) -> None:
    by_pixels, by_channels = (
        make_stream(augment=augment, channels_last=last) for last in (True, False)
    )
    for mine, theirs in zip(by_pixels.batches(0, 9), by_channels.batches(0, 9), strict=True):
        assert_equal([mine], [theirs])
        assert mine.inputs["image"].is_contiguous(memory_format=torch.channels_last)
    assert_equal(list(by_pixels.sweep()), list(by_channels.sweep()))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"image": ImageSpec(2, 6, 6, (), ())}, "images of 3 channels for a model of 2"),
        ({"audio": AudioSpec(12, 50)}, "audio at 100 Hz for a model at 50 Hz"),
        ({"text": AudioSpec(12, 50)}, "differ in kind"),
    ],
)
def test_what_does_not_convert_is_refused(model: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_stream(model_specs=model)
