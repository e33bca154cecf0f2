"""Mean and standard deviation over seeds."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from jlrun.runs.sweeps.records import read_jobs
from jlrun.runs.sweeps.summary import summarise


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
    assert "\nweighting " in shown, "the key that is swept over is the title"
    assert "\nequal " in shown
    assert "mode=multitask" not in shown, "what all have in common is not repeated"
    assert "digit accuracy" in shown
    assert "0.600 ± 0.141" in shown
    assert "1 of 2" in shown
    assert "+6.0 ± 1.4 %" in shown
    assert "macro_f1" not in shown, "a task is shown by one metric"


def test_a_sweep_without_results_is_summarised_too(tmp_path: Path) -> None:
    summarise(tmp_path, read_jobs(tmp_path))
    assert json.loads((tmp_path / "summary.json").read_text())["groups"] == []


SCORES = {  # variant -> a (accuracy), b (mae, less is better), per seed
    "equal": ([0.5, 0.7], [0.4, 0.4]),
    "dwa": ([0.8, 0.8], [0.2, 0.4]),
    "pcgrad": ([0.9, 0.9], [0.5, 0.5]),
}


def _two_tasks(folder: Path, val: dict[str, tuple[list[float], list[float]]] = SCORES) -> Path:
    for i, (name, (accuracies, errors)) in enumerate(SCORES.items()):
        for seed, (accuracy, error) in enumerate(zip(accuracies, errors, strict=True)):
            chosen = {"a": {"accuracy": val[name][0][seed]}, "b": {"mae": val[name][1][seed]}}
            _job(
                folder / str(2 * i + seed),
                name,
                seed,
                0.0,
                test={"a": {"accuracy": accuracy}, "b": {"mae": error}},
                val=chosen,
                primary={"a": "accuracy", "b": "mae"},
                baselines={"single_task": {"a": {"accuracy": 0.7}, "b": {"mae": 0.3}}},
                gain={
                    "delta_m_percent": 1.0,
                    "per_task": {"a": 3.0, "b": -1.0},
                    "against": "single_task",
                },
                cost={"train_seconds": 2.0 + seed, "peak_memory_bytes": 5e6},
            )
    return folder


def _summary(folder: Path) -> dict[str, Any]:
    summarise(folder, read_jobs(folder))
    return json.loads((folder / "summary.json").read_text())


def test_ranks_know_the_direction_of_a_metric(tmp_path: Path) -> None:
    groups = _summary(_two_tasks(tmp_path))["groups"]
    # Places by accuracy: 3, 2, 1; by error 0.4, 0.3, 0.5: 2, 1, 3.
    assert [group["mean_rank"] for group in groups] == [2.5, 1.5, 2.0]


def test_the_front_is_selected_on_validation_and_measured_on_test(tmp_path: Path) -> None:
    # On the validation split "equal" is as good as "pcgrad" on one task, better on the other.
    val = SCORES | {"equal": ([0.9, 0.9], [0.1, 0.1])}
    summary = _summary(_two_tasks(tmp_path, val))
    assert [group["on_front"] for group in summary["groups"]] == [True, False, False]
    (comparison,) = summary["comparisons"]
    assert comparison["front"]["groups"] == [0]
    assert comparison["front"]["reference"] == {"a": 0.0, "b": 0.5}
    # Of accuracy 0.6 and error 0.4, from accuracy 0 and the worst error, 0.5.
    assert comparison["front"]["hypervolume"] == pytest.approx(0.6 * 0.1)


def test_costs_conventions_and_the_front_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _summary(_two_tasks(tmp_path))
    shown = capsys.readouterr().out
    assert all(len(line) <= 100 for line in shown.splitlines() if "summary.csv" not in line)
    rows = {line.split()[0]: line for line in shown.splitlines() if line}
    assert rows["dwa"].split()[1] == rows["pcgrad"].split()[1] == "*"
    assert rows["equal"].split()[1] == "2", "dominated by dwa"
    assert rows["dwa"].split()[-3:] == ["1.5", "2.5", "5"], "rank, seconds, MB"
    assert "larger is better" in shown
    assert "from a 0.000, b 0.500" in shown
    assert (tmp_path / "pareto.png").stat().st_size > 0
    with (tmp_path / "summary.csv").open() as file:
        dwa = list(csv.DictReader(file))[1]
    assert dwa["on_front"] == "True"
    assert float(dwa["baseline/b/mae/mean"]) == pytest.approx(0.3)
    assert float(dwa["gain/b_percent/mean"]) == -1
    assert float(dwa["cost/train_seconds/std"]) == pytest.approx(0.5**0.5)


def test_variants_on_other_data_are_not_compared(tmp_path: Path) -> None:
    for i, (data, weighting) in enumerate(
        [("x", "equal"), ("x", "dwa"), ("y", "equal"), ("y", "dwa"), ("z", "equal")]
    ):
        overrides = [f"dataset={data}", f"weighting={weighting}"]
        scores = {"digit": {"accuracy": i / 10}}
        _job(tmp_path / str(i), weighting, 0, 0.5, overrides=overrides, test=scores, val=scores)
    summary = _summary(tmp_path)
    assert [group["mean_rank"] for group in summary["groups"]] == [2, 1, 2, 1, None]
    assert [comparison["groups"] for comparison in summary["comparisons"]] == [[0, 1], [2, 3]]
    assert not list(tmp_path.glob("*.png")), "one task has no front"


def test_many_tasks_leave_the_table_readable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i, weighting in enumerate(("equal", "dwa")):
        scores = {f"task_{t}": {"accuracy": 0.1 * ((i + t) % 3)} for t in range(9)}
        _job(tmp_path / str(i), weighting, 0, 0.5, test=scores, val=scores)
    front = _summary(tmp_path)["comparisons"][0]["front"]
    assert front["hypervolume"] is None, "too many tasks"
    shown = capsys.readouterr().out
    rows = shown.splitlines()
    table = rows[: rows.index("", 1)]
    assert max(map(len, table)) <= 100
    assert "task_0 accuracy" in table[1]
    assert "in summary.csv only: val mean_score" in shown
    assert "task_8 accuracy" in shown.partition("in summary.csv only")[2]
