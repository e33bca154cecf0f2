"""A sweep as a user types it: its baselines are trained once, and nothing else changes."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from jlrun.cli.main import main

SMALL = [
    "epochs=2",
    "dataset.limit=120",
    "engine.threads=1",
    "recorder.progress=none",
    "recorder.tensorboard=false",
    "recorder.figures=false",
]
NAMES = {
    "multitask": ("weighting=equal,pcgrad", "weighting=pcgrad"),
    "multimodal": ("fusion=concat,gated", "fusion=gated"),
}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def trained(run: Path) -> set[str]:
    with (run / "metrics.csv").open() as file:
        return {row["fit"] for row in csv.DictReader(file)}


def result_of(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())


@pytest.mark.parametrize("mode", NAMES)
def test_the_second_job_trains_no_baseline_and_finds_the_same(mode: str, tmp_path: Path) -> None:
    swept, second = NAMES[mode]
    arguments = [f"mode={mode}", *SMALL]
    assert main(["--multirun", *arguments, swept, "hydra.sweep.dir=sweep"]) == 0
    assert main([*arguments, second, "hydra.run.dir=alone"]) == 0
    jobs, alone = [tmp_path / "sweep" / name for name in "01"], tmp_path / "alone"
    baselines = trained(alone) - {"main"}
    assert len(baselines) == 2
    assert trained(jobs[0]) == {"main", *baselines}
    assert trained(jobs[1]) == {"main"}, "the baselines were trained by the first job"
    found, expected = result_of(jobs[1]), result_of(alone)
    for part in ("test", "val", "baselines", "gain", "selected"):
        assert found[part] == expected[part], part
    assert found["baselines_from"] == dict.fromkeys(baselines, "../0")
    assert "baselines_from" not in result_of(jobs[0])
    for name in baselines:
        line = f"baseline {name}: as trained in {Path('sweep', '0')}"
        assert line in (jobs[1] / "log.txt").read_text().splitlines()
    assert not (tmp_path / "baselines").exists()


def test_a_job_of_a_sweep_that_goes_on_uses_the_cache_too(tmp_path: Path) -> None:
    arguments = ["mode=multitask", *SMALL, "weighting=equal,dwa", "hydra.sweep.dir=sweep"]
    assert main(["--multirun", *arguments]) == 0
    job, before = tmp_path / "sweep" / "1", result_of(tmp_path / "sweep" / "1")
    # As a kill leaves it that comes while the first baseline is being copied.
    (job / "result.json").unlink()
    folder = job / "baselines" / "single_task" / "digit"
    shutil.rmtree(job / "baselines" / "single_task" / "parity")
    (folder / "checkpoints").rename(folder / ".checkpoints.new")
    (folder / ".checkpoints.new" / "fit.json").unlink()
    assert main(["resume", str(job)]) == 0
    after = result_of(job)
    assert {k: v for k, v in after.items() if k != "cost"} == {
        k: v for k, v in before.items() if k != "cost"
    }
    assert after["baselines_from"] == {"single_task/digit": "../0", "single_task/parity": "../0"}
    assert trained(job) == {"main"}


def test_a_killed_sweep_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--multirun", "mode=multitask", *SMALL, "seed=0,1,2", "hydra.sweep.dir=sweep"]
    assert main(command) == 0
    sweep = tmp_path / "sweep"
    summary = json.loads((sweep / "summary.json").read_text())["groups"][0]
    expected = [result_of(sweep / job)["test"] for job in "012"]
    first = (sweep / "0" / "result.json").read_bytes()
    # As a kill in the middle of the second job leaves them.
    (sweep / "1" / "result.json").unlink()
    shutil.rmtree(sweep / "1" / "baselines")
    shutil.rmtree(sweep / "2")
    capsys.readouterr()
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "complete already: 1 of 3 jobs" in said
    assert "jlrun multitask, resumed" in (sweep / "1" / "log.txt").read_text()
    assert (sweep / "0" / "result.json").read_bytes() == first
    assert [result_of(sweep / job)["test"] for job in "012"] == expected
    after = json.loads((sweep / "summary.json").read_text())["groups"][0]
    assert after["jobs"] == summary["jobs"]
    assert after["scores"]["val/mean_score"] == summary["scores"]["val/mean_score"]
    # Another sweep would be mixed up with it.
    assert main([*command[:-2], "seed=3,4", command[-1]]) == 2
    assert "holds another sweep" in capsys.readouterr().err
    assert (sweep / "0" / "result.json").read_bytes() == first
    assert main(["resume", "sweep"]) == 2
    assert "this is a sweep: name one of its runs" in capsys.readouterr().err
