"""Sweeps survive: kills of the sweep, of a job's process, and the same command goes on."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from jlrun.errors import UserError
from jlrun.runs.sweeps import launcher, variants
from jlrun.runs.sweeps.launch import launch
from tests.runs.sweeps import stub

JOBS = ["mode=multitask", "seed=1,2,3,4", "weighting=equal,dwa"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the check of each value, which takes as long as a job."""
    monkeypatch.setattr(variants, "checked_variants", lambda overrides, config_dir: [])


def _summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.usefixtures("unchecked")
def test_killed_twice_it_runs_each_job_once_and_ends_as_if_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert launch([*JOBS, "hydra.sweep.dir=whole"], function=stub.job) == 0
    monkeypatch.setenv("STUB_SECONDS", "0.05")
    folder = None
    for _ in range(2):
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os._exit(launch(JOBS, function=stub.job))
        _wait_for(tmp_path / "outputs" / "multirun", 1 + random.randrange(3), folder)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        (folder,) = (tmp_path / "outputs" / "multirun").iterdir()
    assert launch(JOBS, function=stub.job) == 0
    assert list((tmp_path / "outputs" / "multirun").iterdir()) == [folder]
    assert folder is not None
    done = (folder / stub.DONE).read_text().split()
    assert sorted(done) == sorted(map(str, range(8)))
    assert _summary(folder) == _summary(tmp_path / "whole")


def _wait_for(parent: Path, more: int, folder: Path | None) -> None:
    before = len((folder / stub.DONE).read_text().split()) if folder else 0
    for _ in range(6000):
        found = [len(file.read_text().split()) for file in parent.glob(f"*/{stub.DONE}")]
        if sum(found) >= before + more:
            return
        time.sleep(0.01)
    raise AssertionError("the sweep does not advance")


@pytest.mark.usefixtures("unchecked")
def test_a_killed_process_costs_its_job_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launcher, "PRELOADED", ())  # the stub needs no PyTorch
    sweep = ["mode=multitask", "seed=1,2,3", "sweep.jobs=2", "hydra.sweep.dir=sweep"]
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "kill_seed_2").touch()
    assert launch(sweep, function=stub.job) == 1
    said = capfd.readouterr()
    killed = json.loads((tmp_path / "sweep" / "1" / "result.json").read_text())
    assert killed["status"] == "failed"
    assert killed["error"] == "the process of this job was killed by SIGKILL"
    line = "jlrun: job 1 failed: mode=multitask seed=2: the process of this job was killed by"
    assert line in said.err
    assert sorted((tmp_path / "sweep" / stub.DONE).read_text().split()) == ["0", "2"]
    assert "job 0: seed=1 completed, val/mean_score 1.100 in" in said.out
    assert launch([text for text in sweep if "jobs" not in text], function=stub.job) == 0
    assert sorted((tmp_path / "sweep" / stub.DONE).read_text().split()) == ["0", "1", "2"]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_the_end_of_a_job_ends_the_sweep_and_the_same_command_goes_on(
    number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = ["mode=multitask", "seed=1,2,3", "hydra.sweep.dir=sweep"]
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "interrupt_seed_2").write_text(f"{int(number)}")
    assert launch(sweep, function=stub.job) == 130
    said = capsys.readouterr().err
    assert said.startswith("jlrun: sweep interrupted; to go on: jlrun --multirun mode=multitask")
    assert len(_summary(tmp_path / "sweep")["jobs"]) == 2
    assert launch(sweep, function=stub.job) == 0
    assert (tmp_path / "sweep" / stub.DONE).read_text().split() == ["0", "2"]
    assert len(_summary(tmp_path / "sweep")["jobs"]) == 3


@pytest.mark.usefixtures("unchecked")
def test_a_complete_or_other_sweep_is_not_gone_on_with(tmp_path: Path) -> None:
    parent = tmp_path / "outputs" / "multirun"
    one = ["mode=multitask", "seed=1"]
    for arguments in (one, one, [*one, "lambda_=2"]):
        assert launch(arguments, function=stub.job) == 0
    assert len(list(parent.iterdir())) == 3
    newest = max(parent.iterdir(), key=lambda folder: folder.stat().st_mtime)
    state = json.loads((newest / "sweep.json").read_text())
    (newest / "sweep.json").write_text(json.dumps(state | {"status": "running"}))
    assert launch([*one, "lambda_=2", "sweep.new=true"], function=stub.job) == 0
    assert len(list(parent.iterdir())) == 4


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["sweep.jobs=1,2"], "sweep.jobs: how a sweep runs can't be swept over"),
        (["lambda_=interval(0,1)"], "add sweep=random or optuna"),
        (["sweep=random", "lambda_=tag(lgo,interval(1,2))"], "there is no tag 'lgo'"),
        (["sweep=random", "lambda_=tag(log,interval(0,2))"], "has no logarithm"),
        (["sweep=random", "lambda_=interval(2,1)"], "expected two numbers, the smaller first"),
    ],
)
def test_what_can_not_be_swept_over(overrides: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        launch(["mode=multitask", *overrides], function=stub.job)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("unchecked")
def test_random_draws_are_those_of_the_seed_and_a_longer_sweep_goes_on(tmp_path: Path) -> None:
    drawn = ["mode=multitask", "lambda_=tag(log,interval(0.1,10))", "weighting=equal,dwa"]
    drawn += ["sweep=random", "hydra.sweep.dir=sweep"]
    assert launch([*drawn, "sweep.trials=2"], function=stub.job) == 0
    before = _overrides(tmp_path / "sweep")
    assert launch([*drawn, "sweep.trials=4"], function=stub.job) == 0
    after = _overrides(tmp_path / "sweep")
    assert after[:2] == before
    assert len(set(after)) == 4
    numbers = [float(dict(text.split("=") for text in job)["lambda_"]) for job in after]
    assert all(0.1 <= number <= 10 for number in numbers)
    with pytest.raises(UserError, match=r"which had sweep\.kind=random sweep\.seed=0"):
        launch([*drawn, "sweep.seed=1"], function=stub.job)


def _overrides(folder: Path) -> list[tuple[str, ...]]:
    return [tuple(job["overrides"]) for job in _summary(folder)["jobs"]]
