"""A run killed with SIGKILL in the middle of an epoch, in every phase and in a baseline, goes on as
if nothing had happened."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.server import Server, serving
from tests.toy import TIMED

SMALL = [
    "seed=3",
    "engine.threads=1",
    "recorder.figures=false",
    "recorder.log_every=4",
    "recorder.checkpoint_seconds=0",
    "backbone.image.channels=[4,8]",
    "backbone.image.hidden=16",
]
# Mode, its overrides, and the steps after which it is killed, each counted from the last start:
# in the middle of an epoch of the first phase, of the second one, and of a baseline.
TRANSFER = ["pretrain_epochs=2", "epochs=3", "source.per_class=30"]
RUNS = {
    "transfer": ([*TRANSFER], [8, 14, 13]),
    "joint": (["mode=transfer", "strategy=joint", "epochs=2", "source.per_class=30"], [8, 12]),
    "multitask": (["epochs=2", "dataset.limit=200", "weighting=pcgrad"], [5, 8, 6]),
    "multimodal": (["epochs=2", "dataset.limit=200", "modality_dropout=0.3"], [5, 8, 7]),
    "several": (
        [
            "mode=multitask",
            "datasets=[digits,printed_digits]",
            "datasets.digits.limit=300",
            "datasets.printed_digits.per_class=30",
            "sampling=proportional",
            "weighting=dwa",
            "epochs=2",
        ],
        [6, 4, 3],
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def outcome(run: Path) -> dict:
    """Everything a result says but the time it took and what the user typed."""
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "completed"
    cost = {"steps": result["cost"]["steps"]}
    return {**{k: v for k, v in result.items() if k not in ("cost", "overrides")}, "cost": cost}


def recorded(run: Path) -> list[str]:
    """The numbers of ``metrics.csv`` but those that are times."""
    lines = (run / "metrics.csv").read_text().splitlines()
    return [line for line in lines if not any(tag in line for tag in TIMED)]


@pytest.mark.parametrize("name", RUNS)
def test_killed_and_resumed_equals_uninterrupted(name: str, server: Server, tmp_path: Path) -> None:
    overrides, kills = RUNS[name]
    mode = [] if name in {"joint", "several"} else [f"mode={name}"]
    arguments = [*mode, *overrides, *SMALL]
    end = server.run(tmp_path, None, [*arguments, "hydra.run.dir=whole"])
    assert end.code == 0, end.err
    starts = [[*arguments, "hydra.run.dir=parts"], *[["resume", "parts"] for _ in kills]]
    for kill_after, start in zip(kills, starts[:-1], strict=True):
        end = server.run(tmp_path, kill_after, start)
        assert end.code == -signal.SIGKILL, end.err
    end = server.run(tmp_path, None, starts[-1])
    assert end.code == 0, end.err
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
    assert recorded(tmp_path / "parts") == recorded(tmp_path / "whole")


def test_the_same_command_and_seed_give_the_same_result(server: Server, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        arguments = ["mode=transfer", *TRANSFER, *SMALL, f"hydra.run.dir={folder}"]
        end = server.run(tmp_path, None, arguments)
        assert end.code == 0, end.err
    assert outcome(tmp_path / "first") == outcome(tmp_path / "second")
    assert recorded(tmp_path / "first") == recorded(tmp_path / "second")


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    arguments = ["mode=multitask", "epochs=500", "baselines=false", *SMALL, "hydra.run.dir=run"]
    process = subprocess.Popen(
        [sys.executable, "-m", "jlrun", *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stdout is not None
    while "epoch" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "jlrun resume" in errors
    assert "Traceback" not in errors
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "interrupted"
    assert (tmp_path / "run" / "checkpoints" / "last" / "state.pt").is_file()
