"""A run trained for four epochs and then for eight is one of eight epochs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from jlrun.cli.main import main
from tests.toy import TIMED

QUICK = ["engine.threads=1", "recorder.progress=none", "recorder.figures=false"]
CNN = ["backbone.image.channels=[4,8]", "backbone.image.hidden=8"]
SMALL = ["dataset.limit=80", "batch_size=16", "tasks=[digit,parity]"]
MULTITASK = ["mode=multitask", *CNN, *SMALL]
STILL = ["mode=multitask", *SMALL, "backbone/image=mlp", "optimizer.lr=1e-30"]
CONSTANT = ["scheduler=constant"]
ALONE = ["baselines=false", "recorder.tensorboard=false"]
TRANSFER = ["mode=transfer", "pretrain_epochs=1", "source.per_class=15", *CNN]
ADAPT = ["mode=transfer", "strategy=adapt", *TRANSFER[2:], "target.limit=80"]
Capture = pytest.CaptureFixture[str]


def run(folder: Path, *arguments: str) -> None:
    assert main([*arguments, *QUICK, f"hydra.run.dir={folder}"]) == 0


def numbers(folder: Path) -> list[list[str]]:
    with (folder / "metrics.csv").open() as file:
        return sorted(r for r in csv.reader(file) if r[4] not in TIMED)


def events(folder: Path) -> list[tuple[str, int, float]]:
    files = sorted((folder / "tb").glob("*tfevents*"))
    found = [
        (value.tag, event.step, round(value.tensor.float_val[0], 12))
        for file in files
        for event in EventFileLoader(str(file)).Load()
        for value in event.summary.value
        if value.tensor.float_val and not value.tag.endswith(TIMED)
    ]
    return sorted(found)


def result(folder: Path) -> dict[str, Any]:
    content = json.loads((folder / "result.json").read_text())
    del content["cost"]["train_seconds"], content["cost"]["samples_per_second"]
    del content["cost"]["peak_memory_bytes"]
    assert content["overrides"].pop().startswith("hydra.run.dir=")
    return content


def assert_same(longer: Path, whole: Path) -> None:
    assert numbers(longer) == numbers(whole)
    assert events(longer) == events(whole)
    assert len(events(longer)) > 20
    assert result(longer) == result(whole)
    files = sorted(p.relative_to(whole) for p in whole.rglob("model.safetensors"))
    assert files == sorted(p.relative_to(longer) for p in longer.rglob("model.safetensors"))
    for file in files:
        ours, theirs = load_file(longer / file), load_file(whole / file)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours), file
    assert (longer / "config.yaml").read_text() == (whole / "config.yaml").read_text()


@pytest.mark.parametrize(
    "options",
    [
        pytest.param([*MULTITASK, "ema=0.9", "weighting=dwa", "patience=50"], id="multitask"),
        pytest.param(["mode=transfer", *TRANSFER[1:]], id="finetune"),
        pytest.param([*ADAPT, "terms=[mcc]", "baselines=false"], id="adapt"),
        pytest.param(
            [*MULTITASK, "baselines=false", "diagnosis.every=3", "recorder.log_every=3"],
            id="diagnosis",
        ),
    ],
)
def test_more_epochs_are_those_of_a_longer_run(options: list[str], tmp_path: Path) -> None:
    longer, whole = tmp_path / "longer", tmp_path / "whole"
    run(longer, *options, *CONSTANT, "epochs=2")
    assert main(["resume", str(longer), "epochs=4"]) == 0
    run(whole, *options, *CONSTANT, "epochs=4")
    assert_same(longer, whole)


def test_a_warm_up_keeps_its_steps(tmp_path: Path) -> None:
    longer, whole = tmp_path / "longer", tmp_path / "whole"
    options = [*MULTITASK, *CONSTANT, *ALONE]
    run(longer, *options, "scheduler.warmup=0.5", "epochs=2")
    assert main(["resume", str(longer), "epochs=4"]) == 0
    run(whole, *options, "scheduler.warmup=0.25", "epochs=4")
    assert numbers(longer) == numbers(whole)


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    def made(*options: str) -> Path:
        folder = tmp_path_factory.mktemp("runs") / "run"
        run(folder, *options, *ALONE, "epochs=2")
        return folder

    return made


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([*MULTITASK], "scheduler: the learning rate at step"),
        ([*MULTITASK, "scheduler=one_cycle"], "scheduler: the learning rate at step"),
        ([*MULTITASK, "scheduler=step"], "scheduler: the learning rate at step"),
        ([*ADAPT, *CONSTANT, "terms=[dann]"], "terms.dann: goes by the share"),
        ([*ADAPT, *CONSTANT, "lambda_ramp=linear"], "lambda_ramp: λ grows over all"),
        ([*TRANSFER, *CONSTANT, "finetune=gradual"], "phases before the last"),
        ([*MULTITASK, *CONSTANT, "sharing=ltb"], "sharing: goes by the share"),
        ([*STILL, *CONSTANT, "patience=1"], "stopped early after epoch"),
    ],
)
def test_a_past_that_would_have_been_another_is_refused(
    options: list[str], why: str, make: Callable[..., Path], capsys: Capture
) -> None:
    folder = make(*options)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(["resume", str(folder), "epochs=4"]) == 2
    assert why in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_else_a_run_is_not_resumed_with(make: Callable[..., Path], capsys: Capture) -> None:
    folder = make(*MULTITASK, *CONSTANT, "optimizer.lr=1e-3")
    for asked, why in (
        ("epochs=2", "the run has 2 epochs already"),
        ("epochs=abc", "is not a number of epochs"),
        ("optimizer.lr=1", "epochs=N alone may change"),
    ):
        assert main(["resume", str(folder), asked]) == 2
        assert why in capsys.readouterr().err
    assert main(["resume", str(folder)]) == 2
    assert "epochs=N trains it for more epochs" in capsys.readouterr().err


def test_a_kill_while_it_becomes_longer_leaves_a_run_that_can_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy, whole = tmp_path / "copy", tmp_path / "whole"
    run(copy, *MULTITASK, *CONSTANT, "epochs=2")

    def kill(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("jlrun.runs.records.describe_model", kill)
        assert main(["resume", str(copy), "epochs=4"]) == 130
    assert json.loads((copy / "result.json").read_text())["status"] == "interrupted"
    assert main(["resume", str(copy)]) == 0
    run(whole, *MULTITASK, *CONSTANT, "epochs=4")
    assert_same(copy, whole)  # TensorBoard's files, too: no test score of the shorter run is left
