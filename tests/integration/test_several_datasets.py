"""Several data sets in one run, as a user types it: gray digits and colour photos in folders."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jlrun.cli.main import main
from jlrun.cli.verbs.evaluate import evaluate_run

LABELS = ["digits.digit", "digits.parity", "imagefolder"]
QUICK = [
    "mode=multitask",
    "datasets=[digits,imagefolder]",
    "datasets.digits.limit=100",
    "epochs=2",
    "batch_size=16",
    "backbone.image.channels=[4,4]",
    "backbone.image.hidden=16",
    "engine.threads=1",
    "recorder.log_every=1",
    "recorder.progress=none",
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number, name in enumerate(("sky", "grass")):
        for i in range(30):
            pixels = random.integers(0, 99, (20, 24, 3), dtype=np.uint8)
            pixels[..., 2 - number] += 150
            (root / name).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(root / name / f"{i}.jpg")
    return root


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several") / "run"
    assert main([*QUICK, f"data_root={photos}", f"hydra.run.dir={folder}"]) == 0
    return folder


def result_of(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


def test_results_are_called_after_data_set_and_task(run: Path) -> None:
    result = result_of(run)
    for scores in (result["test"], result["val"], result["baselines"]["single_task"]):
        assert list(scores) == LABELS
    assert list(result["gain"]["per_task"]) == LABELS
    assert list(result["primary"]) == LABELS
    figures = {file.name for file in (run / "figures").iterdir()}
    assert figures >= {f"confusion_{label}.png" for label in LABELS} | {"curves.png"}
    with (run / "metrics.csv").open() as file:
        tags = {line["tag"] for line in csv.DictReader(file)}
    assert tags >= {f"train/{label}/loss" for label in LABELS}
    assert tags >= {f"val/{label}/accuracy" for label in LABELS}


def test_every_fit_takes_the_same_batches_of_a_data_set(run: Path) -> None:
    steps = {
        file.parents[1].relative_to(run).as_posix(): json.loads(file.read_text())["steps"]
        for file in run.rglob("fit.json")
    }
    epochs, longest = 2, 7  # 100 digits in batches of 16; the 38 photos start again
    assert set(steps.values()) == {epochs * longest}
    assert len(steps) == 1 + len(LABELS)


def test_evaluate_gives_the_scores_of_the_run(run: Path) -> None:
    found, result = evaluate_run(run, []), result_of(run)
    for split in ("val", "test"):
        for label, metrics in result[split].items():
            assert found[split][label] == pytest.approx(metrics)


def test_predict_answers_for_all_tasks(run: Path, photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "found.csv"
    assert main(["predict", str(run), "--input", str(photos), "--output", str(table)]) == 0
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 60
    assert {row["imagefolder"] for row in rows} <= {"sky", "grass"}
    assert {row["digits.digit"] for row in rows} <= set("0123456789")
    assert all(0 <= float(row["digits.parity_probability"]) <= 1 for row in rows)


def test_a_choice_of_tasks_leaves_data_sets_out(photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    chosen = ["tasks=[imagefolder]", "recorder.figures=false"]
    assert main([*QUICK, *chosen, f"data_root={photos}", f"hydra.run.dir={run}"]) == 0
    result = result_of(run)
    assert list(result["test"]) == ["imagefolder"]
    assert result["gain"] is None
    # Then the model takes what the photos are.
    assert json.loads((run / "model.json").read_text())["modalities"]["image"]["channels"] == 3


@pytest.mark.parametrize("sampling", ["round_robin", "proportional", "uniform", "temperature"])
def test_one_data_set_in_each_step(sampling: str, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    chosen = [f"sampling={sampling}", "weighting=famo", "recorder.figures=false", "baselines=false"]
    assert main([*QUICK, *chosen, f"data_root={photos}", f"hydra.run.dir={run}"]) == 0
    # 7 batches of digits and 3 of photos
    steps = {"round_robin": 14, "proportional": 10, "uniform": 10, "temperature": 10}
    assert result_of(run)["cost"]["steps"] == 2 * steps[sampling]
    with (run / "metrics.csv").open() as file:
        lines = list(csv.DictReader(file))
    counts = {
        label: sum(line["tag"] == f"train/{label}/loss" for line in lines) for label in LABELS
    }
    assert counts["digits.digit"] == counts["digits.parity"]
    assert counts["digits.digit"] + counts["imagefolder"] == 2 * steps[sampling]
