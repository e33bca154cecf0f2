"""Mean and standard deviation over seeds."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from jlrun.sweeps.records import read_jobs
from jlrun.sweeps.summary import summarise


def _job(folder: Path, weighting: str, seed: int, accuracy: float, **changes: Any) -> None:
    folder.mkdir(parents=True)
    result = {
        "schema": 1,
        "status": "completed",
        "error": None,
        "mode": "multitask",
        "seed": seed,
        "overrides": ["mode=multitask", f"weighting={weighting}", f"seed={seed}"],
        "test": {"digit": {"loss": 1 - accuracy, "accuracy": accuracy, "macro_f1": 0.5}},
        "objective": {"name": "val/mean_score", "value": accuracy, "direction": "maximize"},
        "gain": {"delta_m_percent": 10 * accuracy, "per_task": {}, "against": "single_task"},
    } | changes
    (folder / "result.json").write_text(json.dumps(result))


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    _job(tmp_path / "0", "equal", 0, 0.5)
    _job(tmp_path / "1", "equal", 1, 0.7)
    _job(tmp_path / "2", "dwa", 0, 0.9, gain=None)
    _job(tmp_path / "10", "dwa", 1, 0.0, status="failed", error="nan", test={}, objective=None)
    _job(tmp_path / "0" / "within", "equal", 7, 0.1)
    (tmp_path / "11").mkdir()
    return tmp_path


def test_the_means_are_those_of_the_completed_jobs(sweep: Path) -> None:
    summarise(sweep, read_jobs(sweep))
    summary = json.loads((sweep / "summary.json").read_text())
    equal, dwa = summary["groups"]
    assert equal["overrides"] == ["mode=multitask", "weighting=equal"]
    assert (equal["seeds"], equal["jobs"], equal["completed"]) == ([0, 1], ["0", "1"], 2)
    score = equal["scores"]["test/digit/accuracy"]
    assert score["mean"] == pytest.approx(0.6)
    assert score["std"] == pytest.approx(0.02**0.5)  # of 0.5 and 0.7, over n - 1
    assert equal["scores"]["gain/delta_m_percent"]["mean"] == pytest.approx(6)
    assert (dwa["jobs"], dwa["completed"]) == (["2", "10"], 1)
    assert dwa["scores"]["val/mean_score"] == {"mean": 0.9, "std": None, "count": 1}
    assert "gain/delta_m_percent" not in dwa["scores"]
    assert [job["error"] for job in summary["jobs"]] == [None, None, None, "nan"]


def test_the_same_as_a_table(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summarise(sweep, read_jobs(sweep))
    with (sweep / "summary.csv").open() as file:
        equal, dwa = csv.DictReader(file)
    assert equal["overrides"] == "mode=multitask weighting=equal"
    assert float(equal["test/digit/accuracy/mean"]) == pytest.approx(0.6)
    assert (dwa["jobs"], dwa["completed"]) == ("2", "1")
    assert dwa["gain/delta_m_percent/mean"] == ""
    shown = capsys.readouterr().out
    assert "weighting=equal" in shown
    assert "mode=multitask" not in shown, "what all have in common is not repeated"
    assert "digit accuracy" in shown
    assert "0.600 ± 0.141" in shown
    assert "1 of 2" in shown
    assert "+6.0 ± 1.4 %" in shown
    assert "macro_f1" not in shown, "a task is shown by one metric"


def test_a_sweep_without_results_is_summarised_too(tmp_path: Path) -> None:
    summarise(tmp_path, read_jobs(tmp_path))
    assert json.loads((tmp_path / "summary.json").read_text())["groups"] == []
