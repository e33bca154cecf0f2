"""A run killed with SIGKILL in the middle of an epoch, in every phase and in a baseline, goes on as
if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Runs the command with a training step that kills its own process at the n-th call.
KILLED_AT = """
import os, signal, sys
import jlrun.loop
from jlrun.cli import main

steps_left, step = int(sys.argv[1]), jlrun.loop.train_step

def lethal_step(*args, **kwargs):
    global steps_left
    steps_left -= 1
    if steps_left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(*args, **kwargs)

jlrun.loop.train_step = lethal_step
sys.exit(main(sys.argv[2:]))
"""

SMALL = ["engine.threads=1", "recorder.checkpoint_seconds=0", "seed=3", "recorder.log_every=4"]
# Mode, its overrides, and the steps after which it is killed, each counted from the last start:
# in the middle of an epoch of the first phase, of the second one, and of a baseline.
TRANSFER = ["pretrain_epochs=2", "epochs=3", "source.per_class=30"]
RUNS = {
    "transfer": ([*TRANSFER], [8, 14, 13]),
    "joint": (["mode=transfer", "strategy=joint", "epochs=2", "source.per_class=30"], [8, 12]),
    "multitask": (["epochs=2", "dataset.limit=200", "weighting=pcgrad"], [5, 8, 6]),
    "multimodal": (["epochs=2", "dataset.limit=200"], [5, 8, 7]),
}


def command(*arguments: str, cwd: Path, kill_after: int | None = None) -> int:
    start = ["-m", "jlrun"] if kill_after is None else ["-c", KILLED_AT, str(kill_after)]
    done = subprocess.run(
        [sys.executable, *start, *arguments],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def outcome(run: Path) -> dict:
    """Everything a result says but the time it took and what the user typed."""
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "completed"
    cost = {"steps": result["cost"]["steps"]}
    return {**{k: v for k, v in result.items() if k not in ("cost", "overrides")}, "cost": cost}


def recorded(run: Path) -> list[str]:
    """The numbers of ``metrics.csv`` but those that are times."""
    lines = (run / "metrics.csv").read_text().splitlines()
    return [line for line in lines if "samples_per_second" not in line]


@pytest.mark.parametrize("name", RUNS)
def test_killed_and_resumed_equals_uninterrupted(name: str, tmp_path: Path) -> None:
    overrides, kills = RUNS[name]
    mode = [] if name == "joint" else [f"mode={name}"]
    arguments = [*mode, *overrides, *SMALL]
    command(*arguments, "hydra.run.dir=whole", cwd=tmp_path)
    for i, steps in enumerate(kills):
        start = [*arguments, "hydra.run.dir=parts"] if i == 0 else ["resume", "parts"]
        assert command(*start, cwd=tmp_path, kill_after=steps) == -signal.SIGKILL
        assert not (tmp_path / "parts" / "result.json").exists()
    command("resume", "parts", cwd=tmp_path)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
    assert recorded(tmp_path / "parts") == recorded(tmp_path / "whole")


def test_the_same_command_and_seed_give_the_same_result(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        command("mode=transfer", *TRANSFER, *SMALL, f"hydra.run.dir={folder}", cwd=tmp_path)
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
