"""The recorders of a run together, in its directory and on a stream."""

from __future__ import annotations

import inspect
import io
import re
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, call

import pytest
from matplotlib.figure import Figure

from jlrun.reporting.recorders.chosen import Recorders, make_progress, make_recorder
from jlrun.reporting.recorders.live import LiveRecorder
from jlrun.reporting.recorders.plain import PlainRecorder
from jlrun.training.recorder import Header, NullRecorder, PhaseInfo, Position, Recorder

RESULT: dict[str, Any] = {
    "status": "completed",
    "mode": "multitask",
    "seed": 0,
    "test": {"digit": {"accuracy": 0.96}},
    "baselines": {},
    "gain": None,
    "objective": {"name": "val/mean_score", "value": 0.95},
    "selected": {"phase": "train", "epoch": 2, "step": 4},
}


def tell_everything(recorder: Recorder, run_dir: Path, result: dict[str, Any] = RESULT) -> None:
    """Go through all that a run tells a recorder."""
    recorder.rewind({})
    recorder.start(Header(run_dir, "multitask", "cpu", 10, 10, {"digits": {"train": 4}}))
    recorder.text("config", "mode: multitask")
    recorder.begin_phase(PhaseInfo("main", "train", 2, 2, first_step=0, start_step=0))
    for step in range(1, 5):
        at = Position("main", "train", -(-step // 2), step)
        recorder.step(step)
        recorder.scalars(at, {"train/total_loss": 1 / step, "train/samples_per_second": 99.0})
        if step % 2 == 0:
            recorder.epoch(at, {"train/total_loss": 1 / step, "val/digit/accuracy": 0.9}, True)
            recorder.flush()
    recorder.end_phase()
    recorder.figure("samples/predictions", Figure(figsize=(1, 1)), 4)
    recorder.message("a [bold]note[/bold]")
    recorder.finish(result)
    recorder.close()
    recorder.close()


def test_a_run_directory_is_filled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = tmp_path / "new" / "run"
    tell_everything(make_recorder(run_dir), run_dir)
    names = sorted(p.relative_to(run_dir).as_posix() for p in run_dir.rglob("*") if p.is_file())
    assert names[:3] == ["figures/samples_predictions.png", "log.txt", "metrics.csv"]
    assert len(names) == 4
    assert names[3].startswith("tb/events.out.tfevents.")
    printed = capsys.readouterr().out
    assert "digit accuracy  0.960" in printed
    assert (run_dir / "log.txt").read_text(encoding="utf-8") == printed


def test_what_is_turned_off_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = make_recorder(tmp_path, tensorboard=False, figures=None, progress="none")
    tell_everything(recorder, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log.txt", "metrics.csv"]
    assert capsys.readouterr().out == ""


def test_the_log_is_continued_and_tells_of_failures(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path, tensorboard=False, progress="none")
    tell_everything(recorder, tmp_path, {"status": "failed", "error": "the loss is not finite"})
    recorder = make_recorder(tmp_path, tensorboard=False, progress="none")
    tell_everything(recorder, tmp_path, {"status": "interrupted", "error": None})
    lines = (tmp_path / "log.txt").read_text(encoding="utf-8").splitlines()
    assert lines.count("jlrun multitask") == 2
    assert lines.index("failed: the loss is not finite") < len(lines) // 2 + 1
    assert lines[-1] == "interrupted"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_auto_is_live_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(make_progress("auto", Terminal()), LiveRecorder)
    assert isinstance(make_progress("auto", io.StringIO()), PlainRecorder)
    assert isinstance(make_progress("plain", Terminal()), PlainRecorder)
    assert isinstance(make_progress("none", Terminal()), NullRecorder)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_progress("auto", Terminal()), PlainRecorder)


def test_live_shows_a_bar_and_what_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    tell_everything(make_progress("live", stream), tmp_path)
    text = stream.getvalue()
    assert "train  epoch 2/2  loss 0.250  val digit accuracy 0.900  *" in text
    bar = r"epoch 2/2  [\d.]+ s/epoch, all fits [\d.]+ s  loss 0.333  99 samples/s"
    assert re.search(bar, text)  # at the last step
    assert "a [bold]note[/bold]" in text
    assert "digit accuracy" in text
    assert text.rstrip().endswith(f"jlrun board {tmp_path}")
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") > 0  # the cursor is shown again


def test_live_gives_the_terminal_back_when_a_run_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    recorder = make_progress("live", stream)
    recorder.begin_phase(PhaseInfo("main", "train", 2, 2, first_step=10, start_step=11))
    recorder.step(12)
    recorder.close()
    assert stream.getvalue().count("\x1b[?25h") == 1


def test_null_recorder_takes_everything(tmp_path: Path) -> None:
    tell_everything(NullRecorder(), tmp_path)
    assert not list(tmp_path.iterdir())


METHODS = {
    name: function
    for name, function in inspect.getmembers(Recorder, inspect.isfunction)
    if not name.startswith("_") and name not in ("recorded", "wants_to_stop")
}


@pytest.mark.parametrize("name", METHODS)
def test_every_call_is_passed_on_in_order(name: str) -> None:
    parts: Any = MagicMock()
    arguments = [object() for _ in list(inspect.signature(METHODS[name]).parameters)[1:]]
    getattr(Recorders([parts.first, parts.second]), name)(*arguments)
    assert parts.mock_calls == [
        getattr(call.first, name)(*arguments),
        getattr(call.second, name)(*arguments),
    ]


def test_what_was_recorded_is_that_of_all_parts() -> None:
    parts: Any = MagicMock()
    parts.first.recorded.return_value = {"metrics.csv": 3}
    parts.second.recorded.return_value = {"tb": 4}
    recorded = Recorders([parts.first, parts.second]).recorded("main")
    assert recorded == {"metrics.csv": 3, "tb": 4}


@pytest.mark.parametrize("asked", [[False, False], [True, False], [False, True]])
def test_a_phase_ends_if_any_recorder_wants_it(asked: list[bool]) -> None:
    parts = [MagicMock(wants_to_stop=lambda found=found: found) for found in asked]
    assert Recorders(parts).wants_to_stop() == any(asked)
