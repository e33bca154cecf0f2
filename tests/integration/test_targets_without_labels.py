"""Adaptation to a target with a few labels, some of the classes, or no labels at all."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jlrun.cli.main import main
from jlrun.config import checked
from jlrun.errors import UserError

QUICK = [
    *("mode=transfer", "engine.threads=1", "recorder.progress=plain"),
    *("recorder.tensorboard=false", "epochs=1"),
]
SOURCE = ["dataset@source=table", "source.path=source.csv", "dataset@target=table"]
LABEL = [*SOURCE, "source.targets=[label]"]
Capture = pytest.CaptureFixture[str]
Row = dict[str, Any]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JLRUN_CACHE", str(tmp_path / "cache"))
    write("source.csv", rows(120), ["x", "label", "size"])


def rows(count: int, classes: str = "abc") -> list[Row]:
    draw = random.Random(0)
    labels = [draw.choice(classes) for _ in range(count)]
    return [
        {
            "x": round(draw.gauss(2 * "abc".index(c), 0.5), 3),
            "label": c,
            "size": "big" if c == "a" else "small",
        }
        for c in labels
    ]


def write(name: str, table: list[Row], columns: list[str]) -> None:
    with Path(name).open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(table)


def result_of(*arguments: str, figures: bool = False) -> dict[str, Any]:
    shown = f"recorder.figures={str(figures).lower()}"
    assert main([*QUICK, *arguments, shown, "hydra.run.dir=run"]) == 0
    return json.loads(Path("run/result.json").read_text())


@pytest.mark.parametrize("column", ["absent", "empty"])
def test_a_table_without_labels_is_adapted_to_and_not_scored(column: str, capsys: Capture) -> None:
    columns = ["x"] if column == "absent" else ["x", "label"]
    write("target.csv", [{**row, "label": ""} for row in rows(60)], columns)
    result = result_of(*LABEL, "target.path=target.csv", "strategy=adapt", figures=True)
    assert (result["status"], result["test"]) == ("completed", {})
    assert result["unscored"] == {"label": "no row of the test split has a label"}
    assert result["objective"]["name"] == "validator/information_maximization"
    assert list(result["baselines"]) == ["source_only"]
    out = capsys.readouterr().out
    assert "target.label has no labels; its classes are the 3 classes of source.label" in out
    assert "no baseline target_supervised" in out
    assert "no scores" in out
    assert main(["evaluate", "run"]) == 0
    assert main(["predict", "run", "--input", "target.csv", "--output", "found.csv"]) == 0
    with Path("found.csv").open() as file:
        assert {row["label"] for row in csv.DictReader(file)} <= {"a", "b", "c"}


def test_labels_in_the_test_file_alone_are_for_scores_alone() -> None:
    write("target.csv", rows(60), ["x"])
    write("test.csv", rows(30), ["x", "label"])
    paths = ["target.path=target.csv", "target.test_path=test.csv"]
    result = result_of(*LABEL, *paths, "strategy=adapt")
    assert 0 <= result["test"]["label"]["accuracy"] <= 1
    assert "unscored" not in result
    assert result["gain"]["gap_closed_percent"] == {}


def test_some_of_the_classes_keep_the_head_of_the_source(capsys: Capture) -> None:
    write("target.csv", rows(60, "ac"), ["x", "label"])
    found = result_of(*LABEL, "target.path=target.csv", "strategy=adapt", "baselines=false")
    assert "label" in found["test"]
    out = capsys.readouterr().out
    assert "target.label has 2 of the 3 classes of source.label ('a', 'c')" in out


def test_classes_that_the_source_lacks_are_left_out_of_scores(capsys: Capture) -> None:
    table = [
        {**row, "label": "q" if i % 4 == 0 else row["label"]} for i, row in enumerate(rows(60))
    ]
    write("target.csv", table, ["x", "label"])
    found = result_of(*LABEL, "target.path=target.csv", "strategy=adapt", "baselines=false")
    assert found["unknown_classes"] == {"label": ["q"]}
    assert set(found["per_class"]["label"]) == {"a", "b", "c"}
    out = capsys.readouterr().out
    line = (
        r"target.label has classes that no source has, 'q': \d+ of 38 training rows and \d of 12 "
    )
    assert re.search(line, out)
    write("target.csv", [{**row, "label": "q" + row["label"]} for row in rows(60)], ["x", "label"])
    assert main([*QUICK, *LABEL, "target.path=target.csv", "strategy=adapt"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "are not among the classes of source.label: 'a', 'b', 'c'" in error
    assert not Path("outputs").exists()


def test_a_task_that_is_left_out_is_told(capsys: Capture) -> None:
    table = [{**row, "size": "huge" if i % 4 == 0 else "tiny"} for i, row in enumerate(rows(60))]
    write("target.csv", table, ["x", "label", "size"])
    both = ["source.targets=[label,size]", "target.targets=[label,size]", "baselines=false"]
    found = result_of(*SOURCE, *both, "target.path=target.csv", "strategy=adapt")
    assert list(found["test"]) == ["label"]
    out = capsys.readouterr().out
    assert "target.size is left out: 'huge', 'tiny' are not among the classes of source.size" in out


def test_a_single_task_of_another_name_is_matched_by_its_classes(capsys: Capture) -> None:
    write("target.csv", [{**row, "kind": row["label"]} for row in rows(60)], ["x", "kind"])
    table = ["target.path=target.csv", "target.targets=[kind]", "baselines=false"]
    for strategy in ("joint", "finetune"):
        found = result_of(*LABEL, *table, f"strategy={strategy}")
        assert list(found["test"]) == ["kind"]
        assert list(json.loads(Path("run/model.json").read_text())["heads"]) == ["kind"]
        line = "target.kind is matched to 'label' of source: it has those classes"
        assert line in capsys.readouterr().out
        shutil.rmtree("run")


def test_joint_training_learns_from_the_few_labels_there_are(capsys: Capture) -> None:
    table = [
        {**row, "label": "" if i % 3 else row["label"]} for i, row in enumerate(rows(60, "ab"))
    ]
    write("target.csv", table, ["x", "label"])
    terms = "terms=[mcc]"
    found = result_of(*LABEL, "target.path=target.csv", "strategy=joint", terms)
    assert "label" in found["test"]
    assert "target.label has 2 of the 3 classes" in capsys.readouterr().out
    write("target.csv", table, ["x"])
    assert main([*QUICK, *LABEL, "target.path=target.csv", "strategy=joint"]) == 2
    assert "strategy=adapt needs none" in capsys.readouterr().err


def picture(path: str, shade: int) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(path)


def test_a_folder_of_images_without_classes(capsys: Capture) -> None:
    for i in range(24):
        for shade, name in ((30, "dark"), (220, "light")):
            picture(f"source/{name}/{i}.png", shade + i % 8)
            picture(f"target/unlabelled/{name}{i}.png", shade - i % 8)
        picture(f"target/test/dark/{i}.png", 30)
    data = ["dataset@source=imagefolder", "source.root=source", "source.size=8"]
    data += ["dataset@target=imagefolder", "target.root=target", "target.size=8"]
    small = ["backbone.image.hidden=8", "baselines=false", "terms=[fixmatch]"]
    found = result_of(*data, *small, "strategy=adapt")
    assert "label" in found["test"]
    assert "target.label has 1 of the 2 classes of source.label ('dark')" in capsys.readouterr().out
    assert main([*QUICK, *data, *small[:2], "hydra.run.dir=other"]) == 2
    assert "no class folders" in capsys.readouterr().err


def test_inputs_alone_need_no_labels(tmp_path: Path) -> None:
    for i in range(24):
        picture(f"photos/{i}.png", 9 * i)
    learned = ["terms=[vicreg]", "pretraining.epochs=1", "pretraining.only=true"]
    image = ["dataset=imagefolder", "dataset.root=photos", "dataset.size=8", "batch_size=8"]
    small = ["backbone.image.hidden=8", "recorder.tensorboard=false", "recorder.figures=false"]
    run = ["mode=multitask", *image, *small, *learned, "hydra.run.dir=run"]
    assert main([*run, "recorder.progress=none"]) == 0
    assert json.loads(Path("run/model.json").read_text())["heads"] == {}
    write("plain.csv", rows(60), ["x", "size"])
    table = ["mode=multitask", "dataset=table", "dataset.path=plain.csv"]
    assert checked([*table, *learned]).config["dataset"]["targets"]["label"]["optional"]
    with pytest.raises(UserError, match="no target is set"):
        checked(table)
