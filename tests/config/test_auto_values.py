"""Values that follow from the training rows of a table."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from PIL import Image

from jlrun.config import auto_encoders, checked
from jlrun.config.auto_values import values_of_images, values_of_rows, with_auto_values
from jlrun.config.build import build
from jlrun.config.compose import compose
from jlrun.config.folds import of_fold
from jlrun.config.nodes import reserved_keys
from jlrun.config.slots import DATASET, ENCODER
from jlrun.data.specs import ImageSpec
from jlrun.data.splits import Subset, make_splits


def write_table(folder: Path, num_rows: int) -> str:
    path = folder / "t.csv"
    lines = (f"{i / 7:.3f},{'ab'[i % 2]}" for i in range(num_rows))
    path.write_text("\n".join(["number,label", *lines]) + "\n")
    return f"dataset.path={path}"


def of_table(folder: Path, num_rows: int, *overrides: str) -> tuple[dict[str, object], str]:
    """Return the values of a table's config, and the last line on what was inferred."""
    path = write_table(folder, num_rows)
    choice = ["mode=multitask", "dataset=table", path, "dataset.targets=[label]", *overrides]
    found = checked(choice)
    keys = ("epochs", "batch_size", "patience")
    return {key: found.config[key] for key in keys}, found.inferred[-1]


def test_small_tables_are_passed_over_more_often(tmp_path: Path) -> None:
    values, line = of_table(tmp_path, 200)
    assert values == {"epochs": 100, "batch_size": 64, "patience": 25}
    told = (
        "epochs=100, batch_size=64, patience=25: by the 128 training rows (any value overrides it)"
    )
    assert line == told


def test_values_that_are_given_stay(tmp_path: Path) -> None:
    values, line = of_table(tmp_path, 3_000, "batch_size=16", "patience=null")
    assert values == {"epochs": 10, "batch_size": 16, "patience": None}
    assert line.startswith("epochs=10: by")


@pytest.mark.parametrize(
    ("num_rows", "epochs", "batch_size"),
    [(1, 100, 64), (5_000, 12, 64), (5_001, 25, 128), (100_000, 10, 256), (10**7, 10, 512)],
)
def test_batches_grow_with_the_rows(num_rows: int, epochs: int, batch_size: int) -> None:
    found = values_of_rows(num_rows)
    assert (found["epochs"], found["batch_size"]) == (epochs, batch_size)


@pytest.mark.parametrize(
    ("overrides", "epochs"),
    [(["mode=multitask"], 20), (["mode=multimodal"], 15), (["mode=transfer"], 25)],
)
def test_other_data_sets_have_the_usual_values_of_the_mode(
    overrides: list[str], epochs: int
) -> None:
    config = compose(overrides).config
    batch_size = 32 if "mode=transfer" in overrides else 64
    assert (config["epochs"], config["batch_size"], config["patience"]) == (
        epochs,
        batch_size,
        None,
    )


def test_without_auto_nothing_changes() -> None:
    config = {"mode": "multitask", "epochs": 3, "batch_size": 5, "patience": 1}
    assert with_auto_values(config, 700) == (config, [])


@pytest.mark.parametrize(
    ("overrides", "rows"),
    [
        (["dataset.limit=300"], 300),
        (["dataset.limit=3000"], 640),
        (["dataset.shots=7"], 14),
        (["dataset.shots=7", "dataset.limit=5"], 5),
        (["dataset.classes=[a]"], 320),
        (["dataset.test_fraction=0.5", "dataset.val_fraction=0.1"], 450),
        (["dataset.split_column=split"], 250),
        (["dataset.split_column=split", "dataset.classes=[b]"], 125),
    ],
)
def test_the_rows_that_count_are_those_trained_on(
    tmp_path: Path, overrides: list[str], rows: int
) -> None:
    """The numbers are those that the splits have."""
    path = tmp_path / "t.csv"
    names = ("Train", "dev", "test", "test")
    lines = (f"{i / 7:.3f},{'ab'[i % 2]},{names[i // 2 % 4]}" for i in range(1_000))
    path.write_text("\n".join(["number,label,split", *lines]) + "\n")
    choice = [f"dataset.path={path}", "dataset.targets=[label]", *overrides]
    found = checked(["mode=multitask", "dataset=table", *choice])
    assert f"by the {rows:,} training rows" in found.inferred[-1]
    node = {k: v for k, v in found.config["dataset"].items() if k not in reserved_keys()}
    subset = {field.name: found.config["dataset"][field.name] for field in fields(Subset)}
    assert len(make_splits(build(node, DATASET), Subset(**subset), seed=0).train) == rows


def test_folds_that_go_forward_in_time_have_values_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each learns from more rows than the one before, as many as the splits have."""
    (_, small), *larger = auto_encoders._SIZES
    monkeypatch.setattr(auto_encoders, "_SIZES", ((2_000, small), *larger))  # between two folds
    path = tmp_path / "t.csv"
    lines = (f"{i / 7:.3f},{'ab'[i % 2]},{(i * 7) % 4001}" for i in range(4_001))
    path.write_text("\n".join(["number,label,day", *lines]) + "\n")
    choice = ["mode=multitask", "dataset=table", f"dataset.path={path}", "dataset.targets=[label]"]
    folds = [*choice, "dataset.time_by=day", "dataset.folds=3"]
    whole = checked(folds)
    for fold, (rows, epochs) in enumerate([(801, 79), (1_601, 39), (2_401, 26)]):
        of_one = of_fold(whole.config, "dataset", fold, whole.of_folds)
        assert of_one == checked([*folds, f"dataset.fold={fold}"]).config
        assert (of_one["epochs"], of_one["patience"]) == (epochs, max(5, epochs // 4))
        assert f"fold {fold}: epochs={epochs}, batch_size=64" in whole.inferred[fold - 3]
        assert f"by the {rows:,} training rows" in whole.inferred[fold - 3]
        node = {k: v for k, v in of_one["dataset"].items() if k not in reserved_keys()}
        subset = {field.name: of_one["dataset"][field.name] for field in fields(Subset)}
        splits = make_splits(build(node, DATASET), Subset(**subset), seed=0)
        assert len(splits.train) == rows
    assert whole.config["epochs"] == 26
    assert not checked([*folds[:-2], "dataset.folds=3"]).of_folds
    given = checked([*folds, "epochs=5", "patience=2"])
    assert [set(values) for values in given.of_folds] == [{"backbone"}, {"backbone"}, set()]


@pytest.mark.parametrize(
    ("num_rows", "channels", "hidden"),
    [
        (330, [16, 32, 64], 64),
        (1_200, [32, 64, 128], 128),
        (9_000, [32, 64, 128], 128),
        (50_000, [64, 128], 512),
    ],
)
def test_image_encoders_fit_the_rows(num_rows: int, channels: list[int], hidden: int) -> None:
    """Of 330 rows with four photos of 64 pixels, four encoders have 0.4 million parameters."""
    choice = ["mode=multimodal", "dataset=table", "dataset.modalities=[image_front,tabular]"]
    config, lines = with_auto_values(compose(choice).config, num_rows)
    node = config["backbone"]["image"]
    assert (node["channels"], node["hidden"]) == (channels, hidden)
    assert f"backbone.image.channels=[{','.join(map(str, channels))}]" in lines[-1]
    spec = ImageSpec(3, 64, 64, (0.5,) * 3, (0.25,) * 3)
    count = sum(p.numel() for p in build(node, ENCODER, spec).parameters())
    assert 4 * count < max(400_000, 1_300 * num_rows)


def test_folders_of_images_have_values_of_their_rows(tmp_path: Path) -> None:
    """The numbers are those that the splits have; 250 images are passed over 100 times at most."""
    sides = {"train/cat": 150, "train/dog": 100, "test/cat": 5}
    for folder, count in sides.items():
        (tmp_path / folder / "more").mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (4, 4)).save(tmp_path / folder / "more" / f"{i}.png")
    data = ["mode=multitask", "dataset=imagefolder", f"dataset.root={tmp_path}"]
    chosen = [([], 200), (["dataset.limit=90"], 90), (["dataset.shots=7"], 14)]
    for overrides, rows in (*chosen, (["dataset.classes=[cat]", "dataset.val_fraction=0.1"], 135)):
        found = checked([*data, *overrides])
        node = {k: v for k, v in found.config["dataset"].items() if k not in reserved_keys()}
        subset = {field.name: found.config["dataset"][field.name] for field in fields(Subset)}
        assert len(make_splits(build(node, DATASET), Subset(**subset), seed=0).train) == rows
        assert found.config["backbone"]["image"]["hidden"] == 64
        assert [found.config[key] for key in ("epochs", "batch_size", "patience")] == [100, 64, 25]
        assert all(f"by the {rows:,} training rows" in line for line in found.inferred[-2:])
    own = checked([*data, "backbone/image=cnn", "epochs=3"]).config
    assert (own["backbone"]["image"]["hidden"], own["epochs"]) == (512, 3)
    elsewhere = checked([*data[:2], "dataset.root=/nowhere"]).config
    assert (elsewhere["backbone"]["image"]["hidden"], elsewhere["epochs"]) == (512, 20)


@pytest.mark.parametrize(
    ("num_rows", "epochs", "patience"), [(600, 100, 25), (3_100, 20, None), (50_000, 20, None)]
)
def test_many_images_have_the_usual_values(
    num_rows: int, epochs: int, patience: int | None
) -> None:
    found = values_of_images(num_rows, {"epochs": 20, "batch_size": 64, "patience": None})
    assert found == {"epochs": epochs, "batch_size": 64, "patience": patience}


def test_image_encoders_that_are_chosen_stay() -> None:
    choice = ["mode=multimodal", "dataset=table", "dataset.modalities=[image]"]
    config, lines = with_auto_values(compose([*choice, "backbone/image=cnn"]).config, 330)
    assert config["backbone"]["image"]["hidden"] == 512
    assert not any("backbone" in line for line in lines)
    set_one = compose([*choice, "backbone.image.hidden=32"]).config
    config, lines = with_auto_values(set_one, 330)
    assert config["backbone"]["image"]["hidden"] == 32
    assert "hidden" not in lines[-1]
