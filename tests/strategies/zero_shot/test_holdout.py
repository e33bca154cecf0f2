"""No row of an unseen class is learned from, and what tells of one is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from jlrun.data.dataset import Dataset
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.data.splits import Splits, Subset, make_splits
from jlrun.data.strata import class_column
from jlrun.errors import UserError
from jlrun.strategies.zero_shot import ClassSplit
from jlrun.strategies.zero_shot.holdout import hold_out

NAMES = ("a", "b", "c", "d")
SPLIT = ClassSplit(NAMES, seen=(0, 1, 2), unseen=(3,))
MODALITIES = {"image": ImageSpec(1, 2, 2, mean=(), std=())}


def rows(count: int = 80, **columns: torch.Tensor) -> TensorRows:
    label = torch.arange(count) % 4
    # Images of the unseen class are the only bright ones.
    images = torch.where(label == 3, 255, 50).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    labelled: dict[str, Any] = {"label": torch.arange(count) % 10 > 0}
    return TensorRows({"image": images.to(torch.uint8)}, {"label": label, **columns}, {}, labelled)


def dataset(classes: dict[str, tuple[str, ...]] | None = None, **columns: torch.Tensor) -> Dataset:
    return Dataset(
        train=rows(**columns),
        modalities=MODALITIES,
        classes={"label": NAMES, **(classes or {})},
    )


def withheld(data: Dataset, split: ClassSplit = SPLIT) -> Splits:
    splits = make_splits(data, Subset(test_fraction=0.3), seed=0)
    return hold_out(splits, data.modalities, "label", split, "target")


def test_only_the_test_rows_have_unseen_classes() -> None:
    splits = withheld(dataset())
    for view in (splits.train, splits.val, splits.pool):
        assert set(class_column(view, "label").tolist()) == {0, 1, 2}  # none unlabelled either
    assert 3 in class_column(splits.test, "label")
    assert splits.classes["label"] == NAMES


def test_statistics_of_images_know_nothing_of_unseen_classes() -> None:
    spec = withheld(dataset()).modalities["image"]
    assert isinstance(spec, ImageSpec)
    assert spec.mean == pytest.approx((50 / 255,))


def test_test_rows_are_those_of_other_runs() -> None:
    splits = make_splits(dataset(), Subset(test_fraction=0.3), seed=0)
    assert torch.equal(withheld(dataset()).test.indices, splits.test.indices)


def test_another_column_that_names_an_unseen_class_is_refused() -> None:
    second = torch.arange(80) % 3  # x, d, a: a third of the rows show a d as well
    with pytest.raises(
        UserError, match=r"target: the unseen class 'd' of 'label' is in \d+ training rows by their"
    ):
        withheld(dataset({"second": ("x", "d", "a")}, second=second))
    withheld(dataset({"second": ("x", "y", "a")}, second=second))


def test_labels_among_several_that_name_an_unseen_class_are_refused() -> None:
    several = torch.zeros(80, 2)
    several[1::4, 1] = 1.0  # in rows of b
    with pytest.raises(UserError, match="by their 'tags'"):
        withheld(dataset({"tags": ("x", "d")}, tags=several))
    several[:, 1] = 0
    several[3::4, 1] = 1.0  # in rows of d alone, which are left out
    withheld(dataset({"tags": ("x", "d")}, tags=several))


def test_a_seen_class_without_training_rows_is_refused() -> None:
    data = dataset()
    keep = torch.arange(80)[torch.arange(80) % 4 != 2]
    label = torch.arange(80) % 4
    train = TensorRows({"image": torch.zeros(60, 1, 2, 2).to(torch.uint8)}, {"label": label[keep]})
    without_c = Dataset(train, MODALITIES, data.classes, test=rows())
    with pytest.raises(
        UserError, match=r"target: no training row is of c: add to zero_shot.unseen"
    ):
        withheld(without_c)
    other = ClassSplit(NAMES, seen=(0, 1), unseen=(2, 3))
    assert len(withheld(without_c, other).train) > 0


def test_an_unseen_class_without_test_rows_is_refused() -> None:
    test = TensorRows(
        {"image": torch.zeros(3, 1, 2, 2).to(torch.uint8)}, {"label": torch.arange(3)}
    )
    with pytest.raises(UserError, match=r"target: no test row is of an unseen class \(d\)"):
        withheld(Dataset(rows(), MODALITIES, {"label": NAMES}, test=test))
