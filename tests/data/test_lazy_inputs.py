"""Rows of a batch made by themselves are those of the batch made as a whole, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from jlrun.data.augmentation.augment import Augment
from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.data.streams import Stream

SPEC = ImageSpec(3, 40, 36, (0.4,) * 3, (0.3,) * 3)
ROWS, SIZE = 50, 21  # of more than a block of batches
AUGMENTS = {
    "none": Augment(),
    "crop": Augment(crop=2, flip=0.5),
    "affine": Augment(shift=0.1, rotate=20),
    "erase": Augment(flip=0.5, erase=0.7),
}


def stream(augment: Augment, **options: Any) -> Stream:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (ROWS, 3, 40, 36), dtype=torch.uint8, generator=generator)
    present = {"image": torch.rand(ROWS, generator=generator) < 0.8}
    labelled = {"kind": torch.rand(ROWS, generator=generator) < 0.5}
    rows = TensorRows({"image": images}, {"kind": torch.arange(ROWS)}, present, labelled)
    return Stream(
        "dataset",
        rows,
        specs={"image": SPEC},
        batch_size=SIZE,
        seed=3,
        device=torch.device("cpu"),
        augment=augment,
        memory_budget=10**9,
        channels_last=True,
        **options,
    )


def assert_same(found: Batch, expected: Batch) -> None:
    assert found.size == expected.size
    for group in ("inputs", "targets", "present", "labelled"):
        one, two = getattr(found, group), getattr(expected, group)
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in two), group


@pytest.mark.parametrize("augment", AUGMENTS.values(), ids=AUGMENTS)
def test_parts_are_those_of_whole_batches(augment: Augment) -> None:
    whole = stream(augment).batches(0, 5)
    for found, expected in zip(stream(augment, in_parts=True).batches(0, 5), whole, strict=True):
        middle = expected.size // 2
        for start, stop in ((0, middle), (middle, expected.size)):
            assert_same(found.part(start, stop), expected.part(start, stop))
            halves = found.part(start, stop).chunks(2)
            for one, two in zip(halves, expected.part(start, stop).chunks(2), strict=True):
                assert_same(one, two)
        assert_same(found, expected)
        assert_same(found.part(2, 4), expected.part(2, 4))


def test_only_rows_that_are_asked_for_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[int]()
    augmented = Augment.of_inputs

    def noted(self: Augment, inputs: Any, generator: Any) -> Any:
        made.append(len(inputs["image"]))
        return augmented(self, inputs, generator)

    monkeypatch.setattr(Augment, "of_inputs", noted)
    (batch,) = stream(AUGMENTS["crop"], in_parts=True).batches(0, 1)
    part = batch.part(0, 5)
    assert (batch.size, part.size, part.inputs.keys()) == (SIZE, 5, {"image"})
    assert made == []
    assert part.inputs["image"].shape == (5, 3, 40, 36)
    assert made == [5]


def test_who_asks_first_does_not_matter() -> None:
    """Within a forward pass numbers would be rounded, and what is made recorded."""
    (expected,) = stream(AUGMENTS["affine"]).batches(0, 1)
    (found,) = stream(AUGMENTS["affine"], in_parts=True).batches(0, 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        image = found.inputs["image"]
    assert torch.equal(image, expected.inputs["image"])
