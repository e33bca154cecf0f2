"""Check of what a user's data set function returns."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from jlrun.data.dataset import Dataset, well_formed
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError

IMAGE = ImageSpec(1, 8, 8, (), ())


def _rows(size: int = 8) -> TensorRows:
    images = torch.zeros(4, 1, size, size, dtype=torch.uint8)
    return TensorRows({"image": images}, {"digit": torch.arange(4)})


def _dataset(**changes: Any) -> Dataset:
    parts = {"train": _rows(), "modalities": {"image": IMAGE}, "classes": {"digit": tuple("0123")}}
    return Dataset(**{**parts, **changes})


def test_a_data_set_is_left_as_it_is() -> None:
    dataset = _dataset(test=_rows())
    assert well_formed(dataset, "mine.load", "dataset") is dataset


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ((1, 2), "'mine.load' returned tuple of 2, and must return"),
        (None, "'mine.load' returned nothing"),
        (_dataset(test=_rows(12)), "'image' is 1 × 8 × 8 in train, 1 × 12 × 12 in test: bring"),
        (_dataset(train=[(1, 2)]), "train is list of 1, which has no targets"),
        (_dataset(test=[]), "test is list of 0"),
        (_dataset(train=None), "train is nothing"),
        (_dataset(modalities={"image": 3}), "modalities['image'] is a int; expected one of Image"),
        (_dataset(modalities=("image",)), "modalities is tuple of 1"),
        (_dataset(classes={"digit": ["a"]}), "classes['digit'] is list of 1; expected a tuple"),
        (_dataset(classes=("a", "b")), "classes is tuple of 2"),
        (_dataset(classes={"parity": ()}), "train has no tensor of targets for the task 'parity'"),
    ],
)
def test_anything_else_is_told(found: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        well_formed(found, "mine.load", "target")
    assert message in str(caught.value)
    assert caught.value.problems[0].where == "target._target_"
