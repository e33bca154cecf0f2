"""Data sets of plain objects: what is made of each kind, and what is said of others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils import data

from jlrun.data.dataset import Dataset
from jlrun.data.plain_data import as_dataset
from jlrun.data.specs import ImageSpec, SeriesSpec, TabularSpec
from jlrun.errors import UserError
from jlrun.tasks import Binary, Depth, Multiclass, Multilabel, Regression, Task

COUNT = 6
GENERATOR = torch.Generator().manual_seed(0)
PIXELS = torch.randint(0, 256, (COUNT, 3, 4, 5), dtype=torch.uint8, generator=GENERATOR)
CELLS = torch.randn(COUNT, 2, generator=GENERATOR, dtype=torch.float64)
LABELS = ["b", "a", "b", "c", "a", "b"]
SORT: dict[str, Task] = {"sort": Multiclass()}
IMAGE = {"image": "image"}


def made(found: Any, kinds: dict[str, str] = IMAGE, tasks: dict[str, Task] = SORT) -> Dataset:
    return as_dataset(found, kinds, tasks, "mine.load", "dataset")


class Pairs(data.Dataset[tuple[Any, Any]]):
    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, row: int) -> tuple[Any, Any]:
        return Image.fromarray(PIXELS[row].permute(1, 2, 0).numpy()), LABELS[row]


class Endless(data.IterableDataset[int]):
    def __iter__(self) -> Any:
        return iter(range(3))


def same_images(dataset: Dataset) -> None:
    batch = dataset.train.fetch(torch.arange(COUNT))
    assert batch.inputs["image"].dtype == torch.uint8
    assert torch.equal(batch.inputs["image"], PIXELS)
    assert dataset.classes == {"sort": ("a", "b", "c")}
    assert batch.targets["sort"].tolist() == [1, 0, 1, 2, 0, 1]
    assert dataset.modalities == {"image": ImageSpec(3, 4, 5, (), ())}


@pytest.mark.parametrize(
    "found",
    [
        (PIXELS, LABELS),
        (PIXELS.permute(0, 2, 3, 1).numpy(), np.array(LABELS)),
        (PIXELS / 255, {"sort": LABELS}),
        {"image": list(PIXELS), "sort": LABELS, "more": LABELS},
        Pairs(),
        {"train": (PIXELS, LABELS)},
    ],
    ids=["tensors", "arrays, channels last", "unit interval", "columns", "torch", "splits"],
)
def test_the_same_images_in_many_forms(found: Any) -> None:
    same_images(made(found))


def test_splits_share_classes_and_stay_apart() -> None:
    parts = {"train": (PIXELS[:3], [3, 1, 3]), "validation": (PIXELS[3:4], [5])}
    dataset = made(parts | {"test": (PIXELS[4:], [1, None])})
    assert dataset.classes == {"sort": ("1", "3", "5")}
    assert dataset.val is not None
    assert dataset.test is not None
    assert dataset.train.targets["sort"].tolist() == [1, 0, 1]
    assert dataset.val.targets["sort"].tolist() == [2]
    assert dataset.test.labelled["sort"].tolist() == [True, False]


def test_means_are_those_of_the_rows_that_are_trained_on() -> None:
    series = torch.stack([CELLS, CELLS + 1, CELLS + 2], dim=1)  # (N, 3, 2)
    rows = {"tabular": CELLS, "series": series, "price": [1.0, 2.0, float("nan"), 4, 5, 6]}
    kinds, tasks = {"tabular": "tabular", "series": "series"}, {"price": Regression()}
    dataset = made(rows, kinds, {**tasks})
    assert dataset.fit is not None
    assert dataset.adopt is not None
    trained = torch.tensor([0, 2, 3])
    specs = dataset.fit(trained).modalities
    cells, steps = specs["tabular"], specs["series"]
    assert isinstance(cells, TabularSpec)
    assert isinstance(steps, SeriesSpec)
    assert cells.mean == pytest.approx(CELLS[trained].mean(dim=0).tolist())
    assert cells.std == pytest.approx(CELLS[trained].std(dim=0, correction=0).tolist())
    assert steps.mean == pytest.approx((CELLS[trained].mean(dim=0) + 1).tolist())
    assert (steps.length, steps.channels) == (3, 2)
    adopted = dataset.adopt({"tabular": cells}).fit
    assert adopted is not None
    assert adopted(torch.arange(COUNT)).modalities["tabular"] is cells
    assert dataset.train.labelled["price"].tolist() == [True, True, False, True, True, True]


def test_a_frame_has_its_other_columns_as_cells() -> None:
    frame = pd.DataFrame({"size": CELLS[:, 0], "sort": LABELS, "age": [1, 2, 3, 4, 5, 6]})
    dataset = made(frame, {"tabular": "tabular"})
    spec = dataset.modalities["tabular"]
    assert isinstance(spec, TabularSpec)
    assert spec.numbers == ("size", "age")
    found = dataset.train.fetch(torch.arange(COUNT)).inputs["tabular"]
    assert found[:, 1].tolist() == [1, 2, 3, 4, 5, 6]


def test_labels_of_several_kinds() -> None:
    tasks: dict[str, Task] = {"new": Binary(), "tags": Multilabel()}
    rows = {"image": PIXELS, "new": [True, False] * 3, "tags": torch.eye(COUNT)[:, :4]}
    dataset = made(rows, tasks=tasks)
    assert dataset.classes == {"new": ("False", "True"), "tags": ("0", "1", "2", "3")}
    assert dataset.train.targets["new"].tolist() == [1, 0] * 3
    assert dataset.train.targets["tags"].dtype == torch.float32


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (torch.zeros(3), "Tensor; expected a jlrun.data.Dataset, a pair (inputs, targets)"),
        ((PIXELS,), "a tuple of 1; expected (inputs, targets)"),
        ({"image": PIXELS}, "no column of the task 'sort' in its train rows. Choose from: image"),
        ({"img": PIXELS, "sort": LABELS}, "no column of the modality 'image' in its train rows."),
        ((PIXELS[:4], LABELS), "4 rows of 'image' and 6 of 'sort'"),
        ((["x.png"] * COUNT, LABELS), "image that is a str; expected numbers"),
        ((PIXELS[:, 0, 0], LABELS), "image of shape (6, 5); expected (N, C, H, W)"),
        ((PIXELS.float(), LABELS), "or numbers from 0 to 1"),
        ((PIXELS[:0], []), "no row in its train rows"),
        ({"train": (PIXELS, LABELS), "val": (PIXELS[:0], [])}, "(0, 3, 4, 5), which has no pixel"),
        ((object(), LABELS), "image that is a object; expected a value of each row"),
        ((PIXELS, torch.tensor(1)), "sort that is a Tensor; expected a value of each row"),
        ((PIXELS, torch.zeros(COUNT, 1)), "sort with a list in a row; expected a label"),
        (([PIXELS[0], PIXELS[0, :, 1:]] * 3, LABELS), "shapes (3, 3, 5) and (3, 4, 5)"),
        (Endless(), "Endless; expected a jlrun.data.Dataset"),
        ({"train": (PIXELS, LABELS), "val": [], "validation": []}, "both val and validation"),
    ],
)
def test_what_is_something_else_is_said_in_one_line(found: Any, expected: str) -> None:
    with pytest.raises(UserError) as raised:
        made(found)
    told = str(raised.value)
    assert told.startswith("dataset._target_: 'mine.load' returned ")
    assert expected in told
    assert "\n" not in told


def test_two_modalities_and_tasks_need_names() -> None:
    with pytest.raises(UserError, match="inputs that are a Tensor; expected a mapping with image"):
        made((PIXELS, LABELS), {"image": "image", "tabular": "tabular"})
    with pytest.raises(UserError, match="text as plain values, which can be image, tabular or"):
        made((LABELS, LABELS), {"text": "text"})
    with pytest.raises(UserError, match="targets of depth for 'far': return a jlrun"):
        made((PIXELS, PIXELS[:, 0]), tasks={"far": Depth()})


def test_a_data_set_of_hugging_face_has_its_names_of_classes() -> None:
    library = pytest.importorskip("datasets")
    names = library.ClassLabel(names=["cat", "dog"])
    features = library.Features({"image": library.Image(), "sort": names})
    pictures = [Image.fromarray(p.permute(1, 2, 0).numpy()) for p in PIXELS]
    rows = library.Dataset.from_dict({"image": pictures, "sort": [0, 1] * 3}, features=features)
    parts = library.DatasetDict(train=rows, test=rows.select([0, 1]))
    dataset = made(parts)
    assert dataset.classes == {"sort": ("cat", "dog")}
    assert torch.equal(dataset.train.fetch(torch.arange(COUNT)).inputs["image"], PIXELS)
    assert dataset.test is not None
    assert dataset.test.targets["sort"].tolist() == [0, 1]
