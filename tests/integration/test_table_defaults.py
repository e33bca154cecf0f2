"""Defaults of tables: what they choose, and that overrides and experiments replace it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from jlrun.config import checked
from jlrun.config.compose import compose
from jlrun.errors import UserError
from jlrun.reporting.result import read_result
from jlrun.runs.execution import execute

QUICK = ("mode=multitask", "dataset=table", "baselines=false", "recorder.progress=none", "epochs=2")


def targets(overrides: list[str]) -> dict[str, str]:
    """Return part -> the last name of the class that a config builds."""
    config = compose(overrides).config
    nodes = {**config["backbone"], "heads": config["heads"]}
    return {name: str(node["_target_"]).rpartition(".")[2] for name, node in nodes.items()}


@pytest.mark.parametrize(
    "overrides",
    [
        ["mode=multimodal", "dataset=table"],
        ["experiment=reviews"],
        ["mode=transfer", "dataset@source=table", "dataset@target=table"],
        ["mode=multitask", "datasets=[table,digits]"],
    ],
    ids=str,
)
def test_a_table_brings_its_encoders_and_heads(overrides: list[str]) -> None:
    found = targets(overrides)
    assert (found["text"], found["tabular"], found["heads"]) == ("TfIdf", "PiecewiseMLP", "TabM")


def test_the_users_choice_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = targets(["mode=multitask", "dataset=table", "backbone/text=text_cnn", "heads=linear"])
    assert (found["text"], found["tabular"], found["heads"]) == (
        "TextCNN",
        "PiecewiseMLP",
        "Linear",
    )
    experiment = tmp_path / "conf" / "experiment" / "mine.yaml"
    experiment.parent.mkdir(parents=True)
    defaults = ("/mode: multitask", "/dataset: table", "/heads: mlp")
    lines = "\n".join(f"  - override {text}" for text in defaults)
    experiment.write_text(f"# @package _global_\n# mine\ndefaults:\n{lines}\n")
    assert targets(["experiment=mine"])["heads"] == "MLP"


@pytest.mark.parametrize("overrides", [[], ["mode=multitask"], ["mode=multimodal"]], ids=str)
def test_other_data_sets_keep_theirs(overrides: list[str]) -> None:
    found = targets(overrides)
    wanted = ("BagOfEmbeddings", "TabularMLP", "Linear")
    assert (found["text"], found["tabular"], found["heads"]) == wanted


def table_of_grades(folder: Path) -> str:
    path = folder / "grades.csv"
    lines = (
        f"{i % 10},{'good' if i % 10 > 4 else 'bad'} word {i % 3},{(i % 10) // 3},{2 ** (i % 10)}"
        for i in range(200)
    )
    path.write_text("\n".join(["points,what is said,grade,price", *lines]) + "\n")
    return f"dataset.path={path}"


def test_losses_and_ordinal_targets_in_a_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    grade = "{column: grade, kind: "
    asked = f"{{grade: {grade}ordinal}}, high: {grade}multiclass}}, price: regression}}"
    options = (
        f"dataset.targets={asked}",
        "dataset.tasks.high.loss={class_weights: auto, focal: 1}",
        "dataset.tasks.price.loss={kind: huber}",
        "dataset.target_transform=log",
        "fusion=concat",
    )
    execute(checked([*QUICK, table_of_grades(tmp_path), *options, f"hydra.run.dir={run}"]))
    result = read_result(run)
    assert result is not None
    assert result["status"] == "completed"
    assert set(result["test"]) == {"grade", "high", "price"}
    assert {"mae", "quadratic_kappa"} <= set(result["intervals"]["test"]["grade"])
    assert set(result["per_class"]) == {"grade", "high"}
    assert (run / "figures/confusion_grade.png").is_file()
    assert set(result["calibration"]) == {"grade", "high"}
    shares = [0.3, 0.3, 0.3, 0.1]  # of the grades: no news, after two epochs
    no_news = -sum(share * math.log(share) for share in shares)
    for found in ("test", "test_calibrated"):
        assert 0 < result["calibration"]["grade"][found]["log_loss"] < 1.2 * no_news
    assert (run / "figures/reliability_grade.png").is_file()
    assert "calibration/grade/test_ece" in (run / "metrics.csv").read_text()
    assert "'price' is learned as its logarithm" in (run / "log.txt").read_text()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("dataset.tasks.high.loss={focus: 1}", "focus: there is no such key. Did you mean 'focal'"),
        (
            "dataset.tasks.high.loss={kind: huber}",
            "kind: there is no such key. Choose from",
        ),
        ("dataset.tasks.high.loss={focal: -1}", "focal"),
        ("dataset.tasks.price.loss={delta: 2}", "has 'delta', which kind: squared does not use"),
        ("dataset.tasks.price.loss={kind: huber, quantile: 0.1}", "has 'quantile', which kind: hu"),
        ("dataset.target_transform=logarithm", "target_transform"),
    ],
)
def test_wrong_options_are_told(tmp_path: Path, option: str, message: str) -> None:
    asked = "dataset.targets={high: {column: grade, kind: multiclass}, price: regression}"
    with pytest.raises(UserError, match=message):
        checked([*QUICK, table_of_grades(tmp_path), asked, "fusion=concat", option])
