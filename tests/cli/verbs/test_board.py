"""``jlrun board``: the folder that it opens, and a real TensorBoard that a signal ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jlrun.cli.verbs.board import main, newest_in
from jlrun.errors import UserError
from jlrun.reporting.recorders.tensorboard import TensorBoardRecorder
from jlrun.training.recorder import Header, Position

TB = "/data/plugin/hparams"
SCALARS = "/data/plugin/scalars"


def test_it_becomes_tensorboard_over_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *given: became.extend(given))
    main([str(tmp_path), "--port", "7000"])
    program, command, environment = became
    assert program == sys.executable
    assert command[1:] == [
        *("-m", "jlrun.reporting.board", "--logdir", str(tmp_path), "--port", "7000"),
    ]
    # A folder of a stranger's runs may hold a module called tensorboard.
    assert environment["PYTHONSAFEPATH"] == "1"
    with pytest.raises(UserError, match="there is no such folder"):
        main([str(tmp_path / "nothing")])


def test_the_newest_run_sweep_or_study(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no run"):
        newest_in(tmp_path)
    marks = ("study/a/study.json", "multitask/b/multirun.yaml", "multitask/c/config.yaml")
    for second, mark in enumerate((*marks, "multitask/b/0/config.yaml")):
        file = tmp_path / mark
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        os.utime(file, (second, second))
        if mark in marks:
            assert newest_in(tmp_path) == file.parent
    assert newest_in(tmp_path) == tmp_path / "multitask/c"  # a job is part of its sweep


def record(folder: Path, changed: dict[str, str], score: float) -> None:
    recorder = TensorBoardRecorder(folder)
    recorder.rewind({})
    recorder.start(Header(folder, "multitask", "cpu", 1, 1, {}, changed, {"epochs": 2}))
    recorder.scalars(Position("main", "train", 1, 5), {"train/total_loss": 1.0})
    recorder.scalars(Position("single_task/digit", "train", 1, 5), {"train/total_loss": 3.0})
    result = {"status": "completed", "seed": 0, "test": {"digit": {"accuracy": score}}}
    more = {"baselines": {}, "selected": {"step": 5}, "objective": {"value": score}}
    recorder.finish({**result, **more})
    recorder.close()


def asked(port: int, path: str, body: dict[str, Any]) -> dict[str, Any]:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"http://localhost:{port}{path}", json.dumps(body).encode())
    request.headers |= {name.capitalize(): value for name, value in headers.items()}
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def wait_for_runs(port: int, count: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://localhost:{port}/data/runs", timeout=10) as answer:
                if len(json.load(answer)) == 2 * count:  # each with a baseline
                    return
        except OSError:
            pass
        time.sleep(0.2)
    pytest.fail("TensorBoard does not show the runs")


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """Serve two runs that are recorded into a folder; yields the port."""
    record(folder / "0/tb", {"weighting": "famo", "weighting.lr": "2e-3"}, 0.5)
    record(folder / "1/tb", {"weighting": "equal", "baselines": "False"}, 0.25)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jlrun", "board", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_runs(port, 2, process)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) is not None


def test_hparams_are_the_union_of_all_runs_and_a_signal_ends_it(tmp_path: Path) -> None:
    with served(tmp_path) as port:
        experiment = asked(port, f"{TB}/experiment", {})
        wanted = {"allowedStatuses": ["STATUS_SUCCESS"], "startIndex": 0, "sliceSize": 9}
        groups = asked(port, f"{TB}/session_groups", wanted)["sessionGroups"]
        with urllib.request.urlopen(f"http://localhost:{port}{SCALARS}/tags") as answer:
            tags = {run: sorted(tags) for run, tags in json.load(answer).items()}
        query = "run=0/single_task/digit&tag=train/total_loss"
        with urllib.request.urlopen(f"http://localhost:{port}{SCALARS}/scalars?{query}") as answer:
            ((_, step, value),) = json.load(answer)
    assert (step, value) == (5, 3.0), "a baseline is a run of its own"
    own = ["objective", "test/digit/accuracy", "train/total_loss"]
    assert tags == {
        "0": own,
        "1": own,
        **{f"{run}/single_task/digit": ["train/total_loss"] for run in "01"},
    }
    kinds = {info["name"]: info["type"] for info in experiment["hparamInfos"]}
    assert kinds == {
        **dict.fromkeys(("epochs", "seed", "weighting.lr"), "DATA_TYPE_FLOAT64"),
        **dict.fromkeys(("baselines", "mode", "weighting"), "DATA_TYPE_STRING"),
    }
    assert next(iter(kinds)) == "weighting"  # what differs comes first
    metrics = [info["name"]["tag"] for info in experiment["metricInfos"]]
    assert metrics == ["objective", "test/digit/accuracy"]
    found = {group["name"]: group["hparams"] for group in groups}
    assert found["0"]["weighting.lr"] == pytest.approx(0.002)
    assert found["1"]["baselines"] == "false"
    assert [group["metricValues"][0]["value"] for group in groups] == [0.5, 0.25]
    with socket.socket() as closed, pytest.raises(ConnectionError):
        closed.connect(("localhost", port))


def test_a_browser_shows_scalar_cards_and_a_row_of_hparams_for_each_run(tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium")
    options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with served(tmp_path) as port, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=options)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        errors: list[object] = []
        page.on("pageerror", lambda error: errors.append(error))
        page.goto(f"http://localhost:{port}/#timeseries")
        page.wait_for_selector("scalar-card svg", timeout=60_000)
        page.goto(f"http://localhost:{port}/#hparams")
        page.reload()
        for text in ("weighting.lr", "famo", "0", "1"):
            page.get_by_text(text, exact=True).first.wait_for(timeout=60_000)
        browser.close()
    assert errors == []
