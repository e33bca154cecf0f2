"""A run killed with SIGKILL in the middle of an epoch, in every phase and in a baseline, goes on as
if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.toy import TIMED

# Runs commands one after the other, each in a process forked when everything is imported, with a
# training step that kills its own process at the n-th call (never for null). Prints their ends:
# exit codes, or negative signal numbers.
IN_CHILDREN = """
import json, os, signal, sys
import torch
torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # imports what takes long
import jlrun.runs.execution, jlrun.training.loop, jlrun.tasks.metrics, sklearn.datasets
from jlrun.cli.main import main

step = jlrun.training.loop.train_step

def child(kill_after, arguments):
    steps = 0
    def lethal_step(*args, **kwargs):
        nonlocal steps
        if steps == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)
        steps += 1
        return step(*args, **kwargs)
    jlrun.training.loop.train_step = lethal_step
    os._exit(main(arguments))

ends = []
for kill_after, arguments in json.loads(sys.argv[1]):
    pid = os.fork()
    if pid == 0:
        child(kill_after, arguments)
    ends.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(json.dumps(ends), file=sys.stderr)
"""

SMALL = [
    "seed=3",
    "engine.threads=1",
    "recorder.figures=false",
    "recorder.log_every=4",
    "recorder.checkpoint_seconds=0",
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


def run_commands(cwd: Path, *commands: tuple[int | None, list[str]]) -> list[int]:
    """Run commands, each with the step after which it is killed, and return how they ended."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IN_CHILDREN, json.dumps(commands)],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stderr.splitlines()[-1])


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
def test_killed_and_resumed_equals_uninterrupted(name: str, tmp_path: Path) -> None:
    overrides, kills = RUNS[name]
    mode = [] if name in {"joint", "several"} else [f"mode={name}"]
    arguments = [*mode, *overrides, *SMALL]
    starts = [[*arguments, "hydra.run.dir=parts"], *[["resume", "parts"] for _ in kills]]
    ends = run_commands(
        tmp_path,
        (None, [*arguments, "hydra.run.dir=whole"]),
        *zip([*kills, None], starts, strict=True),
    )
    assert ends == [0, *[-signal.SIGKILL for _ in kills], 0]
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")
    assert recorded(tmp_path / "parts") == recorded(tmp_path / "whole")


def test_the_same_command_and_seed_give_the_same_result(tmp_path: Path) -> None:
    arguments = ["mode=transfer", *TRANSFER, *SMALL]
    folders = ("first", "second")
    commands = [(None, [*arguments, f"hydra.run.dir={folder}"]) for folder in folders]
    assert run_commands(tmp_path, *commands) == [0, 0]
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
