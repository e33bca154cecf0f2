"""Data sets with fewer rows than a batch."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from jlrun.cli.main import main
from jlrun.config.auto_values import with_auto_values

QUICK = [
    *("engine.threads=1", "recorder.progress=plain", "recorder.figures=false", "epochs=1"),
    *("recorder.tensorboard=false", "hydra.run.dir=run"),
]
FEW = ["target.shots=2", "source.per_class=30", "backbone.image.hidden=16", "pretrain_epochs=1"]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JLRUN_CACHE", str(tmp_path / "cache"))


def test_a_few_shots_are_a_batch_and_it_is_told(capsys: Capture) -> None:
    assert main([*QUICK, "mode=transfer", *FEW]) == 0
    line = "target: 20 training rows are fewer than batch_size=32: each step takes all of them"
    assert line in capsys.readouterr().out
    assert main(["resume", "run", "--help"]) == 0


@pytest.mark.parametrize("where", ["override", "experiment"])
def test_a_batch_size_of_the_user_s_choice_is_refused(where: str, capsys: Capture) -> None:
    chosen = ["batch_size=32"]
    if where == "experiment":
        folder = Path("conf/experiment")
        folder.mkdir(parents=True)
        content = yaml.safe_dump({"batch_size": 32})
        (folder / "mine.yaml").write_text(f"# @package _global_\n{content}")
        chosen = ["experiment=mine"]
    assert main([*QUICK, "mode=transfer", *FEW, *chosen]) == 2
    error = capsys.readouterr().err
    assert "32 is more than the 20 training rows of 'target'; choose batch_size=20" in error
    assert not Path("run").exists()


def test_a_table_of_a_few_rows(capsys: Capture) -> None:
    with Path("few.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["x", "label"], *([i % 7, "ab"[i % 2]] for i in range(25))])
    table = ["mode=multitask", "dataset=table", "dataset.path=few.csv", "baselines=false"]
    assert main([*QUICK, *table]) == 0
    assert "dataset: 16 training rows are fewer than batch_size=64" in capsys.readouterr().out


def test_self_supervision_and_several_data_sets_of_a_few_rows(capsys: Capture) -> None:
    several = ["mode=multitask", "datasets=[digits,printed_digits]", "datasets.digits.limit=20"]
    small = [
        "datasets.printed_digits.per_class=10",
        "backbone.image.hidden=16",
        "tasks=[digits.digit]",
    ]
    views = ["terms=[simclr]", "pretraining.epochs=1", "baselines=false"]
    assert main([*QUICK, *several, *small, *views]) == 0
    assert "datasets.digits: 20 training rows are fewer" in capsys.readouterr().out


def test_without_validation_rows_the_last_weights_are_kept(capsys: Capture) -> None:
    digits = ["mode=multitask", "dataset=digits", "dataset.limit=64", "dataset.val_fraction=0"]
    options = ["baselines=false", "tasks=[digit]", "backbone.image.hidden=8"]
    run = ["engine.threads=1", "recorder.progress=plain", "hydra.run.dir=run"]
    assert main([*run, *digits, *options, "epochs=2"]) == 0
    out = capsys.readouterr().out
    assert "64 train, 359 test; no validation rows: the last weights are kept" in out
    assert "selected  train, epoch 2, the last" in out
    assert "*" not in out
    assert "nan" not in out
    result = json.loads(Path("run/result.json").read_text())
    assert result["objective"] is None
    assert result["val"] == {}
    assert result["selected"] == {"phase": "train", "epoch": 2, "step": 2, "by": "last"}
    assert ",val/" not in Path("run/metrics.csv").read_text()
    capsys.readouterr()
    again = ["engine.threads=1", "hydra.run.dir=again"]
    assert main([*again, *digits, *options, "patience=2"]) == 2
    error = capsys.readouterr().err
    assert "patience: there are no validation rows (dataset.val_fraction=0); training" in error
    adapt = ["mode=transfer", "strategy=adapt", "source.per_class=9", "source.val_fraction=0"]
    assert main([*again, *adapt]) == 2
    error = capsys.readouterr().err
    assert "source.val_fraction: there are no validation rows" in error
    assert "by them" in error
    assert not Path("again").exists()


def test_auto_patience_of_a_table_without_validation_rows() -> None:
    node = {"_target_": "jlrun.data.tables.load_table", "val_fraction": 0.2}
    config = dict.fromkeys(("epochs", "batch_size", "patience"), "auto") | {"dataset": node}
    assert with_auto_values(config, 500)[0]["patience"] == 25
    node["val_fraction"] = 0
    found, lines = with_auto_values(config, 500)
    assert found["patience"] is None
    assert "patience" not in lines[0]
