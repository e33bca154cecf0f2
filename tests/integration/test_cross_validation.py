"""Cross-validation, interrupted and resumed, as a user sees it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
import yaml
from sklearn.metrics import accuracy_score, r2_score

from jlrun.cli.main import main
from jlrun.config import auto_values
from jlrun.errors import DONE, INTERRUPTED, WRONG, Interrupted
from jlrun.runs import execution
from tests.data.tables.files.made import rows_of, write_csv

OPTIONS = [
    *("mode=multitask", "dataset=table", "dataset.path=t.csv", "dataset.targets=[label,price]"),
    *("dataset.folds=2", "dataset.repeats=2", "epochs=2", "heads=linear", "engine.threads=1"),
    *("dataset.columns={note: ignore}", "recorder.tensorboard=false", "recorder.figures=false"),
]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JLRUN_CACHE", str(tmp_path / "cache"))
    rows = rows_of(40)
    rows[3] |= {"label": "", "price": ""}
    rows[5]["price"] = ""
    write_csv(Path("t.csv"), rows)


def read(file: str) -> dict[str, Any]:
    return json.loads(Path(file).read_text())


def test_folds_are_runs_and_their_scores_are_one_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train = execution.train_all

    def interrupted(*args: Any) -> Any:
        if args[0].directory.name == "1":
            raise Interrupted
        return train(*args)

    with monkeypatch.context() as patch:
        patch.setattr(execution, "train_all", interrupted)
        assert main([*OPTIONS, "hydra.run.dir=cv"]) == INTERRUPTED
    captured = capsys.readouterr()
    assert "fold 1/4  label accuracy" in captured.out
    assert "-> label" in captured.out
    assert captured.err.startswith("jlrun: interrupted; to go on: jlrun resume ")
    assert captured.err.endswith("/cv\n")
    assert read("cv/result.json")["status"] == "interrupted"
    first = Path("cv/folds/0/result.json").stat().st_mtime_ns

    assert main(["resume", "cv"]) == DONE
    assert Path("cv/folds/0/result.json").stat().st_mtime_ns == first
    out = capsys.readouterr().out
    assert "scores are means over 4 folds, ± standard deviation between them" in out
    result = read("cv/result.json")
    folds = [read(f"cv/folds/{number}/result.json") for number in range(4)]
    check_means(result, folds)
    check_predictions(result)

    for refused in (["resume", "cv"], ["resume", "cv", "epochs=9"], ["evaluate", "cv"]):
        assert main(refused) == WRONG
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert (
        errors[2]
        == "jlrun: cv: this is a cross-validation: name one of its runs, such as cv/folds/0"
    )
    assert main(["evaluate", "cv/folds/3"]) == DONE


def test_folds_in_time_train_as_long_as_their_rows_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that are begun on resume: 3 epochs of 80 rows, one of 160."""
    monkeypatch.setattr(auto_values, "_EPOCHS", (1, 100))
    monkeypatch.setattr(auto_values, "_STEPS", 4)
    write_csv(Path("t.csv"), [row | {"day": str(i)} for i, row in enumerate(rows_of(300))])
    changed = {"dataset.repeats=2", "epochs=2", "dataset.targets=[label,price]"}
    options = [option for option in OPTIONS if option not in changed]
    asked = ["dataset.targets=[label]", "dataset.time_by=day", "baselines=false"]
    assert main([*options, *asked, "hydra.run.dir=cv"]) == DONE
    result = read("cv/result.json")
    Path("cv/result.json").write_text(json.dumps(result | {"status": "interrupted"}))
    shutil.rmtree("cv/folds/1")
    assert main(["resume", "cv"]) == DONE
    configs = [Path(f"cv/folds/{fold}/config.yaml").read_text() for fold in (0, 1)]
    assert [yaml.safe_load(text)["epochs"] for text in configs] == [3, 1]
    Path("cv/result.json").write_text(json.dumps(result | {"status": "interrupted"}))
    Path("cv/fold_values.json").write_text('{"folds": [{"epochs": 1}]}')
    assert main(["resume", "cv"]) == WRONG


def check_means(result: dict[str, Any], folds: list[dict[str, Any]]) -> None:
    assert result["status"] == "completed"
    scores = [fold["test"]["price"]["mae"] for fold in folds]
    assert result["test"]["price"]["mae"] == pytest.approx(fmean(scores))
    assert result["folds"]["spread"]["price"]["mae"] == pytest.approx(stdev(scores))
    low, high = result["intervals"]["test"]["price"]["mae"]
    assert low < fmean(scores) < high
    assert result["folds"]["overlap"] == pytest.approx(1, abs=0.2)
    assert [each["directory"] for each in result["folds"]["each"]] == [
        f"folds/{i}" for i in range(4)
    ]
    assert result["objective"]["value"] == pytest.approx(
        fmean(f["objective"]["value"] for f in folds)
    )
    theirs = fmean(fold["baselines"]["single_task"]["label"]["accuracy"] for fold in folds)
    assert result["baselines"]["single_task"]["label"]["accuracy"] == pytest.approx(theirs)
    assert set(result["gain"]["kind"]) == {"label", "price"}
    assert set(result["gain"]["over_reference"]["per_task"]) == {"label", "price"}
    ends = result["intervals"]["test"]["label"]["accuracy"]
    assert 0 <= ends[0] <= ends[1] <= 1
    assert (result["primary"], result["selected"]) == (folds[0]["primary"], None)


def check_predictions(result: dict[str, Any]) -> None:
    """Every labelled row has a prediction in each repeat, of the fold that tested on it."""
    with Path("cv/out_of_fold.csv").open() as file:
        lines = list(csv.DictReader(file))
    with Path("t.csv").open() as file:
        cells = {str(line): row for line, row in enumerate(csv.DictReader(file), 2)}
    del cells["5"]  # without a label
    for repeat in "01":
        found = {line["line"]: line for line in lines if line["repeat"] == repeat}
        assert list(found) == list(cells)
        assert all(found[line]["label_true"] == cells[line]["label"] for line in cells)
        assert found["7"]["price"] == found["7"]["price_true"] == ""
        prices = [(row["price_true"], cells[line]["price"]) for line, row in found.items()]
        assert all(float(a) == float(b) for a, b in prices if b)
    shares = [float(r["label_p_bad"]) + float(r["label_p_good"]) for r in lines]
    assert shares == pytest.approx([1.0] * len(lines), abs=1e-5)
    halves = [[row for row in lines if row["repeat"] == repeat] for repeat in "01"]
    pooled = result["folds"]["pooled"]
    accuracy = [
        accuracy_score([r["label_true"] for r in half], [r["label"] for r in half])
        for half in halves
    ]
    assert pooled["label"]["accuracy"] == pytest.approx(fmean(accuracy))
    priced = [[row for row in half if row["price"]] for half in halves]
    r2 = [
        r2_score([float(r["price_true"]) for r in half], [float(r["price"]) for r in half])
        for half in priced
    ]
    assert pooled["price"]["r2"] == pytest.approx(fmean(r2))
