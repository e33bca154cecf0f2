"""Office-31 and Office-Home, in the folders of their archives."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from jlrun.config import checked
from jlrun.config.schema import Settings
from jlrun.data.datasets.domain_benchmarks import load_office31, load_office_home
from jlrun.data.splits import Subset, make_splits
from jlrun.errors import UserError

CLASSES = ("back_pack", "bike")


def make(folder: Path, count: int = 10) -> None:
    for number, name in enumerate(CLASSES):
        for i in range(count):
            path = folder / name / f"frame_{i:04}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (12, 9), (100 * number, 10 * i, 0)).save(path)


@pytest.mark.parametrize("inner", ["", "images"])
def test_office31_as_published_and_without_its_inner_folder(tmp_path: Path, inner: str) -> None:
    make(tmp_path / "dslr" / inner)
    dataset = load_office31(str(tmp_path), "dslr", size=8)
    assert dataset.classes == {"label": CLASSES}
    assert len(dataset.train) == 20
    assert dataset.train.fetch(dataset.train.targets["label"][:1]).inputs["image"].shape[1:] == (
        3,
        8,
        8,
    )


@pytest.mark.parametrize("folder", ["Real World", "Real_World"])
def test_office_home_by_both_names_of_its_folder(tmp_path: Path, folder: str) -> None:
    make(tmp_path / folder)
    assert load_office_home(str(tmp_path), "Real_World", size=8).classes == {"label": CLASSES}


def test_a_missing_domain_is_told_with_where_to_get_it(tmp_path: Path) -> None:
    make(tmp_path / "amazon")
    with pytest.raises(UserError, match=r"has no folder 'webcam' with a folder per class; Office"):
        load_office31(str(tmp_path), "webcam")
    with pytest.raises(UserError, match=r"has no folder 'Art' .*Office-Home is at https"):
        load_office_home(str(tmp_path), "Art")


@pytest.mark.parametrize(
    ("experiment", "domains"),
    [
        ("office31", ["amazon", "dslr", "webcam"]),
        ("office_home", ["Art", "Clipart", "Product", "Real_World"]),
    ],
)
def test_an_experiment_has_a_task_for_each_domain_and_60_20_20_rows(
    tmp_path: Path, experiment: str, domains: list[str]
) -> None:
    settings = Settings.parse(checked([f"experiment={experiment}"]).config)
    assert settings.dataset is None
    assert [node["domain"] for node in settings.datasets.values()] == domains
    assert list(settings.datasets) == domains
    make(tmp_path / "amazon")
    for node in settings.datasets.values():
        subset = Subset(val_fraction=node["val_fraction"], test_fraction=node["test_fraction"])
        splits = make_splits(load_office31(str(tmp_path), "amazon", size=8), subset, seed=0)
        assert [len(rows) for rows in (splits.train, splits.val, splits.test)] == [12, 4, 4]
