"""The table of a running sweep, and the seconds that its jobs took."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from jlrun.runs.sweeps import variants
from jlrun.runs.sweeps.display import SweepDisplay
from jlrun.runs.sweeps.ended import COMPLETED, Ended, SweepJob
from jlrun.runs.sweeps.launch import launch
from tests.runs.sweeps import stub


def _objective(name: str) -> dict[str, object]:
    return {"name": name, "value": 0.839, "direction": "maximize"}


@pytest.mark.parametrize("width", [60, 80, 140])
def test_what_tells_jobs_apart_is_cut_before_states_scores_and_times(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    display = SweepDisplay(total=4, at_once=2, stream=io.StringIO(), live=False)
    name = "weighting=uncertainty optimizer.lr=0.001 backbone/image=resnet18 fusion=attention"
    for number in range(2):
        job = SweepJob(number, (), f"{name} seed={number}")
        display.ended(Ended(job, Path(), COMPLETED, 11.0, _objective("val/mean_score")))
    display.repeated(SweepJob(2, (), "seed=0"), 0)
    display.started(SweepJob(3, (), "seed=3"))
    shown = io.StringIO()
    Console(file=shown, width=width).print(display._table())
    title, *rows = shown.getvalue().splitlines()
    assert title.split() == ["job", "state", "val/mean_score", "time"]
    for number, row in enumerate(rows[:2]):
        assert row.split()[-4:] == ["completed", "0.839", "11", "s"]
        assert (name in row) == (width == 140)
        assert f"d={number} " in row, "the end of a name is kept"
    assert "is as job 0" in rows[2]
    assert rows[3].split()[:3] == ["3", "seed=3", "running"]
    assert rows[-1].startswith("3 of 4, about ")


def test_a_job_takes_the_time_from_its_own_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(variants, "checked_variants", lambda overrides, config_dir: [])
    monkeypatch.setenv("STUB_SECONDS", "0.02")
    ends = list[Ended]()
    monkeypatch.setattr(SweepDisplay, "ended", lambda self, end: ends.append(end))
    begun = time.monotonic()
    assert launch(["mode=multitask", "seed=1,2,3,4", "sweep.new=true"], function=stub.job) == 0
    assert len(ends) == 4
    assert sum(end.seconds for end in ends) <= time.monotonic() - begun
