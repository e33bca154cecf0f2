"""Data sets with fewer rows than a batch."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml

from jlrun.cli.main import main

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
