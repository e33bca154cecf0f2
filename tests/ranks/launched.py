"""Runs of two ranks as a launcher starts them, and what is to be killed at random moments.

``python -m tests.ranks.launched`` kills one of two ranks at ten random moments of a run.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import cache
from io import StringIO
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from jlrun.cli.main import main as command
from jlrun.cli.other_ranks import silent_but_first
from jlrun.files.bounded_text import read_json
from jlrun.files.run_directory import RunDirectory
from jlrun.ranks import meeting
from jlrun.runs import restarts
from tests.ranks.processes import free_port

COMMAND = (
    *("mode=multitask", "dataset=digits", "epochs=3", "baselines=false", "engine.device=cpu"),
    *("recorder.figures=false", "recorder.tensorboard=false", "recorder.progress=none"),
    *("recorder.checkpoint_seconds=0", "backbone/image=mlp"),
)
PATIENCE = 120.0  # seconds until a test counts as one that hangs

PRELOADED = (meeting, restarts)  # before the processes are forked

Prepare = Callable[[int], None]


def nothing(rank: int) -> None:
    """Do nothing before the command begins."""


@cache
def warm() -> None:
    """Run the command once: what it imports and composes for the first time, forks then have."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "run")
        arguments = [x for x in COMMAND if not x.startswith("epochs=")]
        with redirect_stdout(StringIO()):
            assert command([*arguments, "epochs=1", f"hydra.run.dir={target}"]) == 0


@dataclass
class Launch:
    """Ranks that do one command.

    Attributes:
        folder: in which they are started.
        arguments: of the command.
        size: number of ranks.
        environ: further variables of the environment.
        prepare: called by each rank with its number, before the command begins.
    """

    folder: Path
    arguments: Sequence[str]
    size: int = 2
    environ: Mapping[str, str] = field(default_factory=dict)
    prepare: Prepare = nothing
    processes: list[BaseProcess] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        warm()
        port, context = str(free_port()), get_context("fork")
        for rank in range(self.size):
            process = context.Process(target=self._serve, args=(rank, port))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # forks of threads
                process.start()
            self.processes.append(process)

    def _serve(self, rank: int, port: str) -> None:
        gc.freeze()  # as the processes of the battery
        with open(self.folder / f"output{rank}", "wb", buffering=0) as file:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
        sys.stdout = sys.__stdout__ = os.fdopen(1, "w", buffering=1)
        sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1)
        os.chdir(self.folder)
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": self.size}
        os.environ |= {name: str(value) for name, value in numbers.items()} | address
        os.environ |= {"LOCAL_WORLD_SIZE": str(self.size), **self.environ}
        torch.set_num_threads(1)
        code = 1
        try:
            if rank == 1:
                self._note_meeting()
            self.prepare(rank)
            with silent_but_first():
                code = command(list(self.arguments))
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    def _note_meeting(self) -> None:
        watch = meeting.watch

        def noted(*arguments: Any) -> Any:
            found = watch(*arguments)
            (self.folder / "met").touch()
            return found

        meeting.watch = noted

    def kill(self, rank: int, number: int = signal.SIGKILL) -> None:
        """Send a signal to a rank."""
        pid = self.processes[rank].pid
        assert pid is not None
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def wait_until_met(self) -> None:
        """Wait until the ranks know each other; before, they are the launcher's business."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and not (self.folder / "met").exists():
            if all(process.exitcode is not None for process in self.processes):
                return
            time.sleep(0.05)

    def codes(self) -> list[int | None]:
        """Return the exit codes of all, once they have ended."""
        until = time.monotonic() + PATIENCE
        for process in self.processes:
            process.join(max(0.0, until - time.monotonic()))
        found = [process.exitcode for process in self.processes]
        for rank, code in enumerate(found):
            if code is None:
                self.kill(rank)
        assert None not in found, f"a rank hangs: {found}: {self.lines()}"
        return found

    def lines(self) -> list[str]:
        """Return the lines that all ranks have printed."""
        texts = [(self.folder / f"output{rank}").read_text() for rank in range(self.size)]
        return [line for text in texts for line in text.splitlines() if line.strip()]


RESTART = {"TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_RESTART_COUNT": "1"}
FIRST = {"TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_RESTART_COUNT": "0"}


def outcome(run: Path) -> dict[str, Any]:
    """Return what must be the same bits in a run that was interrupted and one that was not."""
    directory = RunDirectory(run)
    result = read_json(directory.result)
    tensors = {
        f"{kind}/{name}": x
        for kind in ("best", "last")
        for name, x in load_file(directory.checkpoints / kind / "model.safetensors").items()
    }
    kept = ("status", "test", "val", "selected", "objective", "ranks")
    return {"result": {key: result[key] for key in kept}, "tensors": tensors}


def assert_same(found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Check that two outcomes are equal, bit for bit."""
    assert found["result"] == expected["result"]
    assert found["tensors"].keys() == expected["tensors"].keys()
    for name, x in expected["tensors"].items():
        assert torch.equal(found["tensors"][name], x), name


def killed_and_restarted(folder: Path, rank: int, seconds: float) -> tuple[list[str], float]:
    """Kill a rank after some seconds, and start both again.

    Args:
        folder: empty; the run is in ``run``.
        rank: of the one to be killed.
        seconds: after the start.

    Returns:
        The lines that the other has printed, and the seconds that it lived on.
    """
    first = Launch(folder, (*COMMAND, "hydra.run.dir=run"), environ=FIRST)
    time.sleep(seconds)
    first.wait_until_met()
    first.kill(rank)
    since = time.monotonic()
    first.codes()
    lived, lines = time.monotonic() - since, first.lines()
    restart(folder)
    return lines, lived


def restart(folder: Path) -> None:
    """Start the ranks of a run once more, as a launcher does after a failure."""
    again = Launch(folder, (*COMMAND, "hydra.run.dir=run"), environ=RESTART)
    assert again.codes() == [0, 0], again.lines()


def main() -> None:
    """Kill one of two ranks at random moments, and print what came of it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole")
        whole.mkdir()
        started = time.monotonic()
        assert Launch(whole, (*COMMAND, "hydra.run.dir=run")).codes() == [0, 0]
        length, expected = time.monotonic() - started, outcome(whole / "run")
        print(f"uninterrupted: {length:.1f} s", flush=True)
        for number in range(options.times):
            rank, seconds = draw.randrange(2), draw.uniform(0.3, 0.95) * length
            own = Path(folder, str(number))
            own.mkdir()
            lines, lived = killed_and_restarted(own, rank, seconds)
            assert_same(outcome(own / "run"), expected)
            said = " / ".join(lines) or "(it was complete)"
            print(
                f"rank {rank} at {seconds:.1f} s: other ended in {lived:.1f} s: {said}", flush=True
            )


if __name__ == "__main__":
    main()
