"""Experiment trackers: what they get of a run, and of a resumed one; W&B and MLflow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL.Image import Image

from jlrun.errors import UserError
from jlrun.reporting.recorders.mlflow_run import MlflowRun
from jlrun.reporting.recorders.tracking import Point, Tracker, TrackingRecorder
from jlrun.reporting.recorders.wandb_run import WandbRun
from jlrun.training.recorder import Header, Position

RESULT: dict[str, Any] = {
    "status": "completed",
    "test": {"digit": {"accuracy": 0.96}},
    "objective": {"name": "val/mean_score", "value": 0.95},
    "gain": {"delta_m_percent": 4.5},
}
SUMMARY = {"test/digit/accuracy": 0.96, "objective": 0.95, "gain/delta_m_percent": 4.5}


class Noted(Tracker):
    """A tracker that keeps what it is sent."""

    name = "noted"

    def __init__(self) -> None:
        self.known: str | None = None
        self.settings: Mapping[str, Any] = {}
        self.points: list[Point] = []
        self.pictures: list[tuple[str, tuple[int, int]]] = []
        self.ends: list[tuple[str, Mapping[str, float]]] = []

    def begin(self, title: str, known: str | None, settings: Mapping[str, Any]) -> str:
        self.known, self.settings = known, settings
        return known or f"id of {title}"

    def log(self, points: list[Point]) -> None:
        self.points += points

    def picture(self, tag: str, picture: Image, step: int) -> None:
        self.pictures.append((tag, picture.size))

    def end(self, status: str, summary: Mapping[str, float]) -> None:
        self.ends.append((status, summary))


def begun(tracker: Tracker, folder: Path, keep: Mapping[str, int | None]) -> TrackingRecorder:
    recorder = TrackingRecorder(folder, tracker)
    recorder.rewind(keep)
    changed = {"optimizer.lr": 0.1, "lambda_": None}
    recorder.start(Header(folder, "multitask", "cpu", 10, 10, {}, changed, {"heads": "Linear"}))
    return recorder


def trained(recorder: TrackingRecorder, steps: range, fit: str = "main") -> None:
    for step in steps:
        recorder.scalars(Position(fit, "train", 1, step), {"train/total_loss": 1 / step})


def test_numbers_wait_for_an_epoch_and_baselines_have_a_name(tmp_path: Path) -> None:
    tracker = Noted()
    recorder = begun(tracker, tmp_path / "run", {})
    trained(recorder, range(1, 3))
    trained(recorder, range(1, 2), "scratch")
    assert tracker.points == []
    recorder.epoch(Position("main", "train", 1, 2), {}, True)
    tag = "train/total_loss"
    own = Point(f"baselines/scratch/{tag}", 1.0, 1)
    assert tracker.points == [Point(tag, 1.0, 1), Point(tag, 0.5, 2), own]
    assert tracker.settings["optimizer.lr"] == 0.1
    assert tracker.settings["heads"] == "Linear"
    assert "lambda_" not in tracker.settings


def test_the_end_is_sent_once(tmp_path: Path) -> None:
    tracker = Noted()
    recorder = begun(tracker, tmp_path / "run", {})
    recorder.figure("curves", Figure(figsize=(2, 1), dpi=50), 4)
    recorder.finish(RESULT)
    recorder.finish(RESULT)
    recorder.close()
    assert tracker.ends == [("completed", SUMMARY)]
    assert tracker.pictures == [("curves", (100, 50))]


def test_a_run_that_is_only_closed_has_failed(tmp_path: Path) -> None:
    tracker = Noted()
    begun(tracker, tmp_path, {}).close()
    assert tracker.ends == [("failed", {})]


def test_a_resumed_run_is_the_same_run_without_what_it_had(tmp_path: Path) -> None:
    first = begun(Noted(), tmp_path / "run", {})
    trained(first, range(1, 5))
    first.flush()
    trained(first, range(5, 9))  # lost by a kill, as they were not sent
    tracker = Noted()
    again = begun(tracker, tmp_path / "run", {"main": 4})
    assert tracker.known == "id of run"
    trained(again, range(1, 9))
    again.finish(RESULT)
    assert [point.step for point in tracker.points] == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("content", [None, "{", "{}", '{"id": "x"}', "[]"])
def test_without_its_file_a_resumed_run_is_a_new_one(tmp_path: Path, content: str | None) -> None:
    (tmp_path / "tracking").mkdir()
    if content is not None:
        (tmp_path / "tracking" / "noted.json").write_text(content)
    tracker = Noted()
    recorder = begun(tracker, tmp_path, {"main": 4})
    trained(recorder, range(1, 3))
    recorder.flush()
    assert tracker.known in (None, "x")
    assert len(tracker.points) == 2


def test_a_run_begun_anew_is_another_run(tmp_path: Path) -> None:
    begun(Noted(), tmp_path, {}).flush()
    tracker = Noted()
    begun(tracker, tmp_path, {})
    assert tracker.known is None


def told(recorder: TrackingRecorder) -> None:
    trained(recorder, range(1, 4))
    trained(recorder, range(1, 3), "single_task/größe*")
    recorder.figure("confusion/digit", Figure(figsize=(1, 1)), 3)
    recorder.finish(RESULT)
    recorder.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of SQLAlchemy, for MLflow
def test_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the extra mlflow")
    pytest.importorskip("sqlalchemy", reason="needs the extra mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'runs.db'}")
    try:
        first = begun(MlflowRun(), tmp_path / "run", {})
        trained(first, range(1, 3))
        first.flush()
        told(begun(MlflowRun(), tmp_path / "run", {"main": 2}))
        client = mlflow.MlflowClient()
        (run,) = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
        assert (run.info.status, run.info.run_name) == ("FINISHED", "run")
        assert run.data.params["optimizer.lr"] == "0.1"
        assert run.data.tags["test/digit/accuracy"] == "0.96"
        history = client.get_metric_history(run.info.run_id, "train/total_loss")
        assert {(point.step, point.value) for point in history} == {(1, 1.0), (2, 0.5), (3, 1 / 3)}
        assert run.data.metrics["baselines/single_task/größe_/train/total_loss"] == 0.5
        pictures = client.list_artifacts(run.info.run_id, "figures")
        assert [picture.path for picture in pictures] == ["figures/confusion_digit.png"]
    finally:
        mlflow.set_tracking_uri(None)


def test_mlflow_that_can_not_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the extra mlflow")
    mlflow.set_tracking_uri("nowhere://x")
    try:
        with pytest.raises(UserError, match=r"recorder\.mlflow: MLflow began no run"):
            MlflowRun().begin("run", None, {})
    finally:
        mlflow.set_tracking_uri(None)


def test_weights_and_biases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb", reason="needs the extra wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run"
    told(begun(WandbRun(), folder, {}))
    wandb.teardown()  # as at the end of a process: its service writes the file to the end
    (file,) = (tmp_path / "wandb").rglob("*.wandb")
    content = file.read_bytes()
    for text in (b"train/total_loss", b"confusion/digit", b"test/digit/accuracy", b"optimizer.lr"):
        assert text in content
    known = json.loads((folder / "tracking" / "wandb.json").read_text())["id"]
    assert known in file.name
