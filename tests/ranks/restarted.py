"""Runs under the real launcher, of which one rank is killed and all are started again.

``python -m tests.ranks.restarted`` kills a rank of two at random moments, and compares.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jlrun.files.run_directory import RunDirectory
from tests.ranks.launched import COMMAND, PATIENCE, Launch, assert_same, outcome

TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node=2", "--max-restarts=1")
MEETING = ("--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0")  # at a port that is free
EPOCHS = 6
RUN = (*(x for x in COMMAND if "epochs" not in x), f"epochs={EPOCHS}", "hydra.run.dir=run")


def launched(folder: Path) -> subprocess.Popen[str]:
    """Start the launcher in a folder."""
    with open(folder / "errors", "w") as errors:
        return subprocess.Popen(
            [sys.executable, *TORCHRUN, *MEETING, "-m", "jlrun", *RUN],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=errors,
            text=True,
        )


def whole(folder: Path) -> dict[str, Any]:
    """Return the outcome of a run that nothing interrupts, of ranks without the launcher."""
    launch = Launch(folder, RUN)
    assert launch.codes() == [0, 0], launch.lines()
    return found_in(folder / "run")


def found_in(run: Path) -> dict[str, Any]:
    """Return what must be the same bits, predictions included."""
    predictions = RunDirectory(run).path / "predictions"
    tables = {file.name: file.read_bytes() for file in sorted(predictions.iterdir())}
    assert tables, "predictions are written"
    found = outcome(run)
    return {"result": found["result"] | {"predictions": tables}, "tensors": found["tensors"]}


def killed(folder: Path, rank: int, epoch: int, seconds: float) -> dict[str, Any]:
    """Kill a rank some seconds after the end of an epoch; return the outcome of the restart."""
    launcher = launched(folder)
    wait_for_epoch(launcher, folder, epoch)
    time.sleep(seconds)
    pids = dict(ranks_of(launcher.pid))
    os.kill(pids[rank], signal.SIGKILL)
    assert launcher.wait(PATIENCE) == 0, (folder / "errors").read_text()
    return found_in(folder / "run")


def wait_for_epoch(launcher: subprocess.Popen[str], folder: Path, epoch: int) -> None:
    """Wait until an epoch of the main fit has ended."""
    until = time.monotonic() + PATIENCE
    while epochs_done(folder / "run") < epoch:
        assert launcher.poll() is None, (folder / "errors").read_text()
        assert time.monotonic() < until, "no epoch ends"
        time.sleep(0.02)


def epochs_done(run: Path) -> int:
    """Return the epochs that the main fit has recorded."""
    try:
        cells = [line.split(",") for line in RunDirectory(run).metrics.read_text().splitlines()]
    except FileNotFoundError:
        return 0
    return max((int(row[2]) for row in cells if len(row) == 6 and "val/" in row[4]), default=0)


def ranks_of(pid: int) -> Iterator[tuple[int, int]]:
    """Yield the rank and the number of each process that a launcher has started."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        for word in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
            if word.startswith(b"RANK="):
                yield int(word[5:]), int(child)


def main() -> None:
    """Kill one of two ranks at random moments, and compare what the restart ends with."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top, "whole")
        folder.mkdir()
        expected = whole(folder)
        for number in range(options.times):
            rank, epoch = draw.randrange(2), draw.randint(1, EPOCHS - 2)
            seconds = draw.uniform(0, 0.5)
            own = Path(top, str(number))
            own.mkdir()
            assert_same(killed(own, rank, epoch, seconds), expected)
            print(f"rank {rank}, {seconds:.2f} s after epoch {epoch}: the same", flush=True)


if __name__ == "__main__":
    main()
