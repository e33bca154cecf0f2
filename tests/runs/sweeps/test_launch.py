"""Sweeps through Hydra's sweeper and launcher, with the run itself replaced."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from jlrun.config.compose import Composed, hydra_state, load, make_loader
from jlrun.errors import Interrupted, RunError, UserError
from jlrun.reporting.result import Result
from jlrun.runs import execution
from jlrun.runs.sweeps.launch import launch
from jlrun.runs.sweeps.sweep_job import run_job

SWEEP = ["mode=multitask", "seed=0,1,2", "hydra.sweep.dir=sweep"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _executing(
    monkeypatch: pytest.MonkeyPatch, failing: dict[int, BaseException] | None = None
) -> list[Composed]:
    calls: list[Composed] = []

    def execute(composed: Composed, watched_by: object = None) -> Result:
        calls.append(composed)
        seed = composed.config["seed"]
        if failing and seed in failing:
            raise failing[seed]
        result = Result(
            directory=composed.run_dir,
            status="completed",
            mode="multitask",
            seed=seed,
            overrides=tuple(composed.overrides),
            test={"digit": {"accuracy": seed / 10}},
            objective={"name": "val/mean_score", "value": seed / 10, "direction": "maximize"},
        )
        result.save()
        return result

    monkeypatch.setattr(execution, "execute", execute)
    return calls


def _result(tmp_path: Path, job: int) -> dict[str, Any]:
    return json.loads((tmp_path / "sweep" / str(job) / "result.json").read_text())


def test_every_combination_runs_in_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = _executing(monkeypatch)
    assert launch(SWEEP) == 0
    assert [call.config["seed"] for call in calls] == [0, 1, 2]
    assert [call.run_dir for call in calls] == [tmp_path / "sweep" / str(i) for i in range(3)]
    assert calls[1].overrides == ["mode=multitask", "seed=1"]
    assert calls[1].config.keys() >= {"dataset", "optimizer"}
    assert "hydra" not in calls[1].config
    assert "0.100 ± 0.100" in capsys.readouterr().out
    assert json.loads((tmp_path / "sweep" / "summary.json").read_text())["groups"]


def test_sweeps_go_to_a_folder_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = _executing(monkeypatch)
    assert launch(["mode=multitask", "seed=0,1"]) == 0
    first, second = (call.run_dir for call in calls)
    assert first.parent == second.parent
    assert first.parent.parent == tmp_path / "outputs" / "multirun"


def test_any_folder_name_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "it's, my \\ own = {folder}"
    folder.mkdir()
    monkeypatch.chdir(folder)
    calls = _executing(monkeypatch)
    assert launch(["mode=multitask"]) == 0
    assert calls[0].run_dir.parents[3] == folder


def test_a_failing_job_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = {0: RunError("out of memory"), 1: ZeroDivisionError("a bug")}
    assert len(_calls(monkeypatch, failing, code=1)) == 3
    assert _result(tmp_path, 0)["error"] == "out of memory"
    assert "Traceback" in _result(tmp_path, 1)["error"]
    assert _result(tmp_path, 2)["status"] == "completed"
    said = capsys.readouterr()
    assert "out of memory" in said.err
    assert "1 of 3" in said.out


def test_a_sweep_in_which_only_some_is_wrong_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = UserError.of("data_root", "is empty")
    _calls(monkeypatch, {0: wrong, 1: wrong}, code=1)


def test_a_sweep_in_which_all_is_wrong_ends_as_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = UserError.of("data_root", "is empty")
    _calls(monkeypatch, {0: wrong, 1: wrong, 2: wrong}, code=2)


@pytest.mark.parametrize("interruption", [Interrupted("later"), KeyboardInterrupt()])
def test_an_interruption_ends_the_sweep_with_a_summary(
    interruption: BaseException,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert len(_calls(monkeypatch, {1: interruption}, code=130)) == 2
    assert "sweep interrupted" in capsys.readouterr().err
    assert (tmp_path / "sweep" / "summary.csv").exists()


def test_nothing_runs_if_one_value_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = _executing(monkeypatch)
    with pytest.raises(UserError, match="weighting: there is no option 'dwaa'"):
        launch([*SWEEP, "weighting=equal,dwaa"])
    assert calls == []


def test_own_options_work_in_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    content = "# @package _global_\ndefaults: [{override /mode: multitask}]\nepochs: 3\n"
    (tmp_path / "conf/experiment/mine.yaml").write_text(content)
    calls = _executing(monkeypatch)
    assert launch(["experiment=mine", "seed=0,1"]) == 0
    assert [call.config["epochs"] for call in calls] == [3, 3]


def test_what_launchers_send_to_other_processes_can_be_sent() -> None:
    with hydra_state():
        loader, job = pickle.loads(pickle.dumps((make_loader(), run_job)))
        assert load(loader, ["mode=multitask"]).mode == "multitask"
    assert job is run_job


def _calls(
    monkeypatch: pytest.MonkeyPatch, failing: dict[int, BaseException], code: int
) -> list[Composed]:
    calls = _executing(monkeypatch, failing)
    assert launch(SWEEP) == code
    return calls


def test_equal_jobs_run_once_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = _executing(monkeypatch)
    ranges = ["lambda_=range(0.3,0.9,0.3)", "seed=0,0"]
    assert launch(["mode=multitask", *ranges, "hydra.sweep.dir=sweep"]) == 0
    assert [call.config["lambda_"] for call in calls] == [0.3, 0.6]
    assert "seed: 0 more than once; equal jobs run once" in capsys.readouterr().out
