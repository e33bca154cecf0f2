"""Callbacks of a run in Python: what they see, how they end a phase, what their errors say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import jlrun

QUIET = (
    *("mode=multitask", "dataset=digits", "tasks=[digit]", "dataset.limit=64", "epochs=3"),
    *("engine.threads=1", "recorder.progress=none", "recorder.figures=false"),
    *("recorder.tensorboard=false", "baselines=false"),
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Seen(jlrun.Callback):
    def __init__(self) -> None:
        self.points: list[jlrun.Point] = []
        self.epochs: list[jlrun.Epoch] = []

    def on_point(self, point: jlrun.Point) -> None:
        self.points.append(point)

    def on_epoch(self, epoch: jlrun.Epoch) -> None:
        self.epochs.append(epoch)


def test_they_see_what_the_files_hold() -> None:
    seen = Seen()
    run = jlrun.run(QUIET, callbacks=[seen])
    assert [(e.fit, e.phase, e.epoch, e.num_epochs) for e in seen.epochs] == [
        ("main", "train", epoch, 3) for epoch in (1, 2, 3)
    ]
    assert {e.directory for e in seen.epochs} == {run.path}
    curves = run.curves
    for point in (*seen.points, *seen.epochs):
        at_step = curves[curves["step"] == point.step].set_index("tag")["value"]
        for tag, value in point.values.items():
            assert tag in at_step.index
            if tag != "train/total_loss":  # of an epoch: the mean of its points
                assert value == pytest.approx(at_step[tag])
    best = max(e.epoch for e in seen.epochs if e.best)
    assert run.result["selected"]["epoch"] == best
    assert seen.epochs[best - 1].values["val/digit/accuracy"] == run.val["digit"]["accuracy"]


def test_a_function_stops_a_phase_and_the_run_comes_to_its_end() -> None:
    epochs = list[int]()

    def two_are_enough(epoch: jlrun.Epoch) -> None:
        epochs.append(epoch.epoch)
        if epoch.epoch == 2:
            epoch.stop()

    run = jlrun.run(QUIET, callbacks=[two_are_enough])
    assert epochs == [1, 2]
    assert run.status == "completed"
    assert run.curves["epoch"].max() == 2
    assert run.test["digit"].keys() == run.val["digit"].keys()


def test_an_error_is_one_line_and_the_run_can_go_on() -> None:
    whole = jlrun.run(QUIET)

    def failing(epoch: jlrun.Epoch) -> None:
        if epoch.epoch == 2:
            raise KeyError("no such column")

    with pytest.raises(jlrun.RunError) as raised:
        jlrun.run([*QUIET, "hydra.run.dir=stopped"], callbacks=[failing])
    told = str(raised.value)
    assert "the callback failing failed after epoch 2 of phase 'train' (main): KeyError" in told
    assert f"{Path(__file__).name}); to go on: jlrun.load(" in told
    assert "\n" not in told
    stopped = jlrun.load("stopped")
    assert isinstance(stopped, jlrun.Run)
    assert stopped.status == "failed"
    seen = Seen()
    assert stopped.resume(callbacks=[seen]).test == whole.test
    assert seen.epochs[-1].epoch == 3


def test_each_fold_is_seen() -> None:
    seen = Seen()
    folds = ["dataset.path=t.csv", "dataset.targets=[label]", "dataset.folds=2"]
    rows = "\n".join(f"{i / 10},{'ab'[i % 2]}" for i in range(40))
    Path("t.csv").write_text(f"size,label\n{rows}\n", encoding="utf-8")
    shared = [text for text in QUIET if not text.startswith(("dataset", "tasks", "epochs"))]
    run = jlrun.run([*shared, "dataset=table", *folds, "epochs=1"], callbacks=[seen])
    assert [e.directory for e in seen.epochs] == [run.path / "folds" / n for n in "01"]


def no_argument() -> None:
    """Take nothing."""


@pytest.mark.parametrize(
    ("callbacks", "expected"),
    [
        ([Seen], "Seen is a class: give an object of it, Seen()"),
        (["print"], "expected functions of an epoch, or objects derived from jlrun.Callback"),
        ([no_argument], "not no_argument, which takes other arguments"),
        (Seen(), "in a list; not a Seen"),
        (print, "in a list; not print by itself"),
    ],
)
def test_what_is_no_callback(callbacks: Any, expected: str) -> None:
    with pytest.raises(jlrun.UserError, match=r"^callbacks: ") as raised:
        jlrun.run(QUIET, callbacks=callbacks)
    assert expected in str(raised.value)
    assert not Path("outputs").exists()
