"""Scores of tables whose numbers lie anywhere, as a user types it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jlrun.cli.main import main

QUICK = [
    *("mode=multitask", "dataset=table", "engine.threads=1", "recorder.progress=none"),
    *("recorder.figures=false", "recorder.tensorboard=false", "baselines=false"),
    *("epochs=5", "optimizer.lr=1e-2", "batch_size=16", "dataset.targets=[t]"),
]
RNG = np.random.default_rng(0)
A, B, NOISE = RNG.normal(size=(3, 120))
Y = 2 * A - B + 0.3 * NOISE


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JLRUN_CACHE", str(tmp_path / "cache"))


def write(name: str, columns: Mapping[str, np.ndarray]) -> str:
    with Path(name).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*(map(str, v.tolist()) for v in columns.values()), strict=True))
    return name


def trained(name: str, columns: Mapping[str, np.ndarray], *more: str) -> dict[str, Any]:
    path = write(f"{name}.csv", columns)
    assert main([*QUICK, f"dataset.path={path}", f"hydra.run.dir={name}", *more]) == 0
    return json.loads(Path(name, "result.json").read_text())


def test_the_same_data_in_other_units_has_the_same_scores() -> None:
    found = {}
    for shift, scale in ((0, 1), (2015, 1), (1e6, 100), (0, 1e-4), (1.7e9, 1000)):
        scores = trained(f"y_{shift}_{scale}", {"a": A, "b": B, "t": shift + scale * Y})["test"][
            "t"
        ]
        found[shift, scale] = [scores["r2"], scores["spearman"], scores["mae"] / scale]
    first = found[0, 1]
    assert first[0] > 0.5
    for scores in found.values():
        assert scores == pytest.approx(first, abs=1e-3)


def test_noise_far_from_0_is_not_explained() -> None:
    scores = trained("noise", {"x": A, "t": 1.7e9 + 10 * NOISE})["test"]["t"]
    assert scores["r2"] < 0.2
    assert 5 < scores["mae"] < 15


def test_inputs_far_from_0_are_as_good_as_others() -> None:
    near = trained("near", {"a": A, "b": B, "t": Y})["test"]["t"]["r2"]
    far = trained("far", {"a": 1.7e9 + 10 * A, "b": B, "t": Y})["test"]["t"]["r2"]
    assert far == pytest.approx(near, abs=1e-3)
    seconds = np.round(1.7e9 + 1040 * A)
    assert trained("unix", {"a": seconds, "b": B, "t": Y})["test"]["t"]["r2"] > near - 0.05
    spec = json.loads(Path("unix", "model.json").read_text())["modalities"]["tabular"]
    assert 700 < spec["std"][0] < 1300


def test_predictions_are_in_the_units_of_far_targets() -> None:
    trained("far", {"a": 1.7e9 + 10 * A, "b": B, "t": 1.7e9 + 10 * Y})
    write("new.csv", {"a": 1.7e9 + 10 * A, "b": B})
    assert main(["predict", "far", "--input", "new.csv", "--output", "out.csv"]) == 0
    with Path("out.csv").open() as file:
        predicted = np.array([float(row["t"]) for row in csv.DictReader(file)])
    assert np.corrcoef((predicted - 1.7e9) / 10, Y)[0, 1] > 0.9


def test_a_spread_that_is_lost_is_told() -> None:
    trained("lost", {"a": 1e17 + np.round(10 * A), "b": B, "t": Y})
    assert "'a' lies so far from 0 that float64" in Path("lost", "log.txt").read_text()


def test_the_metric_chosen_selects_and_is_compared() -> None:
    found = trained("rmse", {"a": A, "b": B, "t": Y}, "dataset.tasks.t.metric=rmse")
    assert found["primary"] == {"t": "rmse"}
    assert found["objective"]["value"] == pytest.approx(-found["val"]["t"]["rmse"])


def test_classes_have_scores_each_and_their_metric_is_chosen() -> None:
    kind = np.digitize(Y, [-1, 1])
    names = np.array(["low", "middle", "high"])[kind]
    found = trained("kinds", {"a": A, "b": B, "t": names}, "dataset.tasks.t.metric=weighted_f1")
    assert found["primary"] == {"t": "weighted_f1"}
    assert found["objective"]["value"] == pytest.approx(found["val"]["t"]["weighted_f1"])
    classes = found["per_class"]["t"]
    assert set(classes) == {"low", "middle", "high"}
    rows = sum(each["rows"] for each in classes.values())
    weighted = sum(each["rows"] * (each["f1"] or 0) for each in classes.values()) / rows
    assert weighted == pytest.approx(found["test"]["t"]["weighted_f1"])


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("dataset.tasks.t.metric=weighted_f1", "Choose from: r2, mae, rmse, median_error"),
        ("dataset.tasks.t.metric=rsme", "Did you mean 'rmse'?"),
    ],
)
def test_a_metric_that_the_task_lacks_is_told(
    override: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("y.csv", {"a": A, "b": B, "t": Y})
    assert main([*QUICK, f"dataset.path={path}", override]) == 2
    told = capsys.readouterr()
    assert "dataset.tasks.t.metric" in told.err + told.out
    assert hint in told.err + told.out
