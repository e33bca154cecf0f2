"""A vectorized sweep as a user types it: every job has what a run of its own leaves."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from jlrun.cli.main import main
from jlrun.errors import DONE, FAILED, INTERRUPTED, WRONG, Interrupted
from jlrun.runs.sweeps.vectorized import OWN

SMALL = (
    *("mode=multitask", "tasks=[digit,parity]", "dataset.limit=120", "epochs=2", "batch_size=32"),
    *("backbone/image=mlp", "backbone.image.hidden=[16]", "engine.threads=1"),
    *("recorder.tensorboard=false", "recorder.figures=false", "references=false"),
)
PARTS = ("status", "mode", "seed", "val", "test", "baselines", "gain", "selected", "objective")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def result(run: str) -> dict[str, Any]:
    return json.loads(Path(run, "result.json").read_text())


def recorded(run: str) -> list[tuple[str, ...]]:
    with Path(run, "metrics.csv").open() as file:
        return [(row["fit"], row["step"], row["tag"]) for row in csv.DictReader(file)]


def assert_near(found: Any, expected: Any, where: str = "") -> None:
    """Compare what a result says: numbers up to rounding, all else exactly."""
    if isinstance(expected, dict):
        assert list(found) == list(expected), where
        for name, value in expected.items():
            assert_near(found[name], value, f"{where}/{name}")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-4), where
    else:
        assert found == expected, where


def test_jobs_have_the_results_files_and_records_of_separate_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    swept = ("seed=0,1", "optimizer.lr=0.001,0.01")
    command = ["--multirun", "sweep=vectorized", *SMALL, *swept, "hydra.sweep.dir=sweep"]
    assert main(command) == DONE
    printed = capsys.readouterr().out
    assert "job 3: seed=1 optimizer.lr=0.01 completed" in printed
    assert "train  epoch 2/2" not in printed
    assert main([*SMALL, "seed=1", "optimizer.lr=0.01", "hydra.run.dir=alone"]) == DONE
    found, expected = result("sweep/3"), result("alone")
    assert list(found) == list(expected)
    for part in PARTS:
        assert_near(found[part], expected[part], part)
    left = {p.relative_to("sweep/3").as_posix() for p in Path("sweep/3").rglob("*")}
    wanted = {p.relative_to("alone").as_posix() for p in Path("alone").rglob("*")}
    assert left - wanted == {"output.txt"}
    assert wanted <= left
    log = Path("sweep/3/log.txt").read_text()
    assert "trains as one with 3 other runs" in log
    assert "train  epoch 2/2" in Path("sweep/3/output.txt").read_text()
    assert recorded("sweep/3") == recorded("alone")
    assert main([*command, "--config-dir=."]) == DONE
    assert "complete already: 4 of 4 jobs" in capsys.readouterr().out


def test_a_job_that_is_wrong_stops_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = ("seed=0,1", "dataset.shots=5,100000")
    command = ["--multirun", "sweep=vectorized", *SMALL, *jobs, "baselines=false"]
    assert main([*command, "hydra.sweep.dir=sweep"]) == FAILED
    assert [result(f"sweep/{i}")["status"] for i in range(4)].count("completed") == 2
    assert "dataset.shots" in capsys.readouterr().err


def test_a_vectorized_sweep_is_one_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--multirun", "sweep=vectorized", "seed=0,1", "sweep.jobs=2"]) == WRONG
    message = "sweep.jobs: 2: a vectorized sweep is one process here; use sweep.jobs=1"
    assert message in capsys.readouterr().err


def test_a_profile_is_of_one_run(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--multirun", "sweep=vectorized", *SMALL, "seed=0,1", "debug=profile"]
    assert main(command) == WRONG
    assert "debug: profile is of one run by itself" in capsys.readouterr().err


def test_ctrl_c_in_the_folds_of_a_job_begins_no_other_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[object] = []

    def execute(composed: object) -> None:
        begun.append(composed)
        raise Interrupted("interrupted")

    monkeypatch.setattr("jlrun.runs.sweeps.vectorized.execute", execute)
    command = ["--multirun", "sweep=vectorized", *SMALL, "seed=0,1,2", "dataset.folds=2"]
    assert main(command) == INTERRUPTED
    assert len(begun) == 1
    assert "sweep interrupted; to go on" in capsys.readouterr().err


def test_what_may_differ_within_a_stack_is_part_of_every_config() -> None:
    from jlrun.config import checked

    assert checked(["mode=transfer", "strategy=adapt"]).config.keys() >= OWN
