"""``jlrun runs``: what is found in a folder, filters, order, and forms of output."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from jlrun.cli.main import main
from jlrun.runs.listing.filters import Filter
from jlrun.runs.listing.found import find_runs
from tests.runs.written_runs import write_run, write_study, write_sweep


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, a failed one, a damaged one, a killed one, one at work, a sweep and a study."""
    folder = tmp_path_factory.mktemp("outputs")
    good = write_run(folder / "multitask" / "good", 0.95, config={"epochs": 7, "tasks": ["a", "b"]})
    failed = write_run(folder / "multitask" / "failed")
    error = "Traceback (most recent call last):\n  File x\nRuntimeError: the loss is not a number"
    (failed / "result.json").write_text(json.dumps({"status": "failed", "error": error}))
    (write_run(folder / "multitask" / "damaged") / "result.json").write_text('{"status": "comp')
    odd = write_run(folder / "multitask" / "odd", gain={"per_task": 3})
    killed, running = (write_run(folder / "multitask" / name) for name in ("killed", "running"))
    for run in (killed, running):
        (run / "result.json").unlink()
    note = {"pid": os.getpid(), "host": socket.gethostname()}
    (running / ".lock.json").write_text(json.dumps(note))
    write_run(folder / "multitask" / "folded")
    for fold in range(2):
        write_run(folder / "multitask" / "folded" / "folds" / str(fold))
    write_sweep(folder / "multirun" / "sweep", {"equal": [0.85, 0.86], "pcgrad": [0.87, 0.88]})
    write_study(folder / "study" / "s")
    for age, run in enumerate((good, odd, failed)):
        os.utime(run / "config.yaml", (2e9 - age, 2e9 - age))
    return folder


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")  # a line for each run, however long its path


def listed(capsys: pytest.CaptureFixture[str], folder: Path, *args: str) -> list[str]:
    assert main(["runs", "--dir", str(folder), *args]) == 0
    return capsys.readouterr().out.splitlines()


def names(capsys: pytest.CaptureFixture[str], folder: Path, *args: str) -> list[str]:
    """Return the names of the runs in JSON, groups left out."""
    entries = json.loads("\n".join(listed(capsys, folder, "--json", *args)))
    single = [entry for entry in entries if entry["kind"] in ("run", "folds")]
    return [Path(entry["run"]).relative_to(folder).as_posix() for entry in single]


def test_every_state_is_found_and_groups_are_one_line(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {each.directory.name: each for each in find_runs(outputs)}
    states = {name: each.status for name, each in found.items() if each.kind == "run"}
    assert states == {
        "good": "completed",
        "failed": "failed",
        "damaged": "damaged",
        "odd": "damaged",
        "killed": "unfinished",
        "running": "running",
    }
    assert found["failed"].error == "RuntimeError: the loss is not a number"
    assert {name: each.kind for name, each in found.items() if each.kind != "run"} == {
        "folded": "folds",
        "sweep": "sweep",
        "s": "study",
    }
    lines = listed(capsys, outputs)
    assert len(lines) == 1 + len(found)
    assert "good" in lines[1], "the newest is first"
    sweep = next(line for line in lines if "sweep of 4" in line)
    assert "4 completed" in sweep
    assert sweep.endswith("mode=multitask")
    assert "2 folds" in next(line for line in lines if "folded" in line)
    assert len(listed(capsys, outputs, "--all")) == len(lines) + 4 + 2 + 1


def test_filters_know_results_scores_options_and_the_config(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = [f"multirun/sweep/{i}" for i in range(4)]
    assert names(capsys, outputs, "status=failed,damaged") == [
        *("multitask/odd", "multitask/failed", "multitask/damaged"),
    ]
    assert names(capsys, outputs, "weighting=pcgrad") == sweep[2:]
    assert names(capsys, outputs, "weighting=equal", "seed=1") == sweep[1:2]
    assert names(capsys, outputs, "val/mean_score>=0.87", "val/mean_score<0.9") == sweep[2:]
    assert names(capsys, outputs, "epochs=7", "optimizer.lr=1e-3") == ["multitask/good"]
    assert names(capsys, outputs, "tasks=[a,b]") == ["multitask/good"]
    assert "multitask/good" in names(capsys, outputs, "weighting!=pcgrad")
    assert listed(capsys, outputs, "epochs=8")[0].startswith("none of ")
    header, group, member = listed(capsys, outputs, "weighting=equal", "seed=1")
    assert header.startswith("run")
    assert "1 completed" in group
    assert "sweep of 4" in group
    assert member.split()[0] == "1"


def test_sorting_is_by_any_number(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = names(capsys, outputs, "mode=multitask", "status=completed", "--sort", "val/mean_score")
    assert found[0] == "multitask/good"
    backwards = names(
        capsys, outputs, "status=completed", "--sort", "gain/delta_m_percent", "--reverse"
    )
    assert backwards[0] == "multirun/sweep/0"


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_a_list_is_as_narrow_as_the_terminal(
    columns: int,
    outputs: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    found = listed(capsys, outputs, "--all")
    assert max(map(len, found)) <= columns
    wide = listed(capsys, outputs, "--all", "--json")
    monkeypatch.setenv("COLUMNS", "500")
    assert wide == listed(capsys, outputs, "--all", "--json")
    if columns == 60:
        assert not any("overrides" in line for line in found)  # these are below each run


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["wieghting=equal"], "wieghting: no run has this in its result or config. Did you mean "),
        (["--sort", "val/x"], "val/x: no run has this"),
        (["completed"], "completed: expected KEY=VALUE, as in status=failed"),
        (["epochs>many"], "epochs>many: 'many' is no number, which > compares"),
        (["--dir", "nowhere"], "nowhere: there is no such folder"),
        (["."], ".: that is a folder, and no filter; list the runs of a folder by --dir ."),
    ],
)
def test_what_is_wrong_is_one_line(
    args: list[str], message: str, outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [] if "--dir" in args else ["--dir", str(outputs)]
    assert main(["runs", *where, *args]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"jlrun: {message}")
    assert len(error.splitlines()) == 1


def test_options_of_one_class_are_all_known() -> None:
    assert Filter.parse("a!=b=c") == Filter("a", "!=", "b=c")


def test_an_empty_folder_says_so_and_no_pytorch_is_imported(tmp_path: Path) -> None:
    write_run(tmp_path / "full" / "run")
    (tmp_path / "empty").mkdir()
    code = (
        "import sys; from jlrun.cli.main import main; main(sys.argv[1:]); "
        "main(['runs', '--dir', 'full', 'weighting=equal']); assert 'torch' not in sys.modules"
    )
    command = [sys.executable, "-c", code, "runs", "--dir", "empty"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("no runs in empty\n")
    assert "full/run" in run.stdout
