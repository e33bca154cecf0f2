"""The table of numbers, and what a resumed run leaves of it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from jlrun.errors import UserError
from jlrun.reporting.recorders.metrics_csv import (
    COLUMNS,
    MetricsCsvRecorder,
    read_curves,
    read_rows,
)
from jlrun.training.recorder import Position


def record(path: Path, fit: str, steps: list[int], keep: dict[str, int | None]) -> None:
    recorder = MetricsCsvRecorder(path)
    recorder.rewind(keep)
    for step in steps:
        recorder.scalars(Position(fit, "train", 1, step), {"train/total_loss": step / 3})
    recorder.close()


def steps_by_fit(path: Path) -> list[tuple[str, int]]:
    return [(row[0], int(row[3])) for row in read_rows(path)]


def test_rows_are_long_and_exact(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    recorder = MetricsCsvRecorder(path)
    recorder.rewind({})
    values = {"train/digit/loss": 1 / 3, "val/a, b/r2": float("nan")}
    recorder.scalars(Position("single_task/digit", "train", 2, 17), values)
    text = path.read_text(encoding="utf-8")  # while the recorder is open: a kill loses nothing
    recorder.close()
    assert text == (
        "fit,phase,epoch,step,tag,value\n"
        "single_task/digit,train,2,17,train/digit/loss,0.3333333333333333\n"
        'single_task/digit,train,2,17,"val/a, b/r2",nan\n'
    )
    first, second = csv.DictReader(text.splitlines())
    assert float(first["value"]) == 1 / 3
    assert second["tag"] == "val/a, b/r2"


def test_rewind_cuts_an_unfinished_fit_and_forgets_later_ones(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    record(path, "main", [10, 20], {})
    record(path, "scratch", [10, 20, 30], {"main": None})
    record(path, "image", [10], {"main": None, "scratch": None})
    record(path, "scratch", [30], {"main": None, "scratch": 20})
    expected = [("main", 10), ("main", 20), ("scratch", 10), ("scratch", 20), ("scratch", 30)]
    assert steps_by_fit(path) == expected


def test_what_is_recorded_again_at_a_kept_step_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    record(path, "main", [10, 20], {})
    record(path, "main", [20, 30], {"main": 20})
    assert steps_by_fit(path) == [("main", 10), ("main", 20), ("main", 30)]


@pytest.mark.parametrize("length", range(1, 40, 3))
def test_a_row_that_a_kill_cut_short_is_dropped(tmp_path: Path, length: int) -> None:
    path = tmp_path / "metrics.csv"
    record(path, "main", [10, 20], {})
    whole = path.read_text()
    last = whole.splitlines(keepends=True)[-1]
    path.write_text(whole[: len(whole) - min(length, len(last))])
    record(path, "main", [20, 30], {"main": 10})
    assert steps_by_fit(path) == [("main", 10), ("main", 20), ("main", 30)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["metrics.csv"]


def test_a_run_that_begins_in_a_used_folder_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    record(path, "main", [10, 20], {})
    record(path, "main", [10], {})
    assert steps_by_fit(path) == [("main", 10)]


def test_steps_are_kept_across_two_resumes(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    record(path, "main", [10, 20], {})
    record(path, "main", [20, 30], {"main": 10})
    record(path, "main", [30, 40], {"main": 20})
    assert steps_by_fit(path) == [("main", step) for step in (10, 20, 30, 40)]


def recorded_and_closed(path: Path) -> dict[str, dict[str, Any]]:
    recorder = MetricsCsvRecorder(path)
    recorder.rewind({})
    for step in (10, 20):
        recorder.scalars(Position("main", "train", 1, step), {"train/total_loss": step / 3})
    found = {"main": recorder.recorded("main")}
    recorder.scalars(Position("main", "train", 1, 30), {"train/total_loss": 10.0})
    recorder.close()
    return found


def test_what_was_recorded_is_found_again_twice(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    recorded = recorded_and_closed(path)
    for _ in range(2):
        recorder = MetricsCsvRecorder(path)
        recorder.rewind({"main": 20}, recorded)
        assert {"main": recorder.recorded("main")} == recorded
        recorder.close()


@pytest.mark.parametrize("what", ["3.3333333333333335", "10,train", "main,train,1,20"])
def test_a_number_that_is_not_as_recorded_is_found(tmp_path: Path, what: str) -> None:
    path = tmp_path / "metrics.csv"
    recorded = recorded_and_closed(path)
    damaged = path.read_text().replace(what, what.replace("1", "2").replace("3", "4"))
    path.write_text(damaged)
    with pytest.raises(UserError, match=r"is damaged .*write only 'fit,phase"):
        MetricsCsvRecorder(path).rewind({"main": 20, "maim": 20}, recorded)
    assert path.read_text() == damaged


def test_rows_that_are_lost_are_found_and_the_way_out_works(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    recorded = recorded_and_closed(path)
    header, first, *_ = path.read_text().splitlines(keepends=True)
    path.write_text(header + first)
    with pytest.raises(UserError, match="up to its checkpoint are not as recorded"):
        MetricsCsvRecorder(path).rewind({"main": 20}, recorded)
    path.unlink()
    with pytest.raises(UserError, match="is missing"):
        MetricsCsvRecorder(path).rewind({"main": 20}, recorded)
    path.write_text(header)
    recorder = MetricsCsvRecorder(path)
    recorder.rewind({"main": 20}, recorded)
    recorder.close()
    assert steps_by_fit(path) == []


@pytest.mark.parametrize("content", ["", "x", "a,b\n1,2\n", f"{','.join(COLUMNS)}\n1,2\n"])
def test_what_is_no_table_of_numbers_is_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(content)
    with pytest.raises(UserError, match=r"metrics\.csv: is damaged"):
        list(read_rows(path))


def test_a_file_is_read_once_and_anew_when_it_has_grown(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    recorder = MetricsCsvRecorder(path)
    recorder.rewind({})
    recorder.scalars(Position("main", "train", 1, 10), {"train/digit/loss": 2.0})
    recorder.flush()
    (first,) = read_curves(path)
    assert read_curves(path)[0] is first
    recorder.scalars(Position("main", "train", 2, 20), {"train/digit/loss": 1.0})
    recorder.close()
    assert [curve.values for curve in read_curves(path)] == [[2.0, 1.0]]
