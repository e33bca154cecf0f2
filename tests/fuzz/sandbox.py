"""Cases run each in a process forked from one that has imported PyTorch, within limits."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tests.fuzz.cases import Case

CPU_SECONDS = 40
WALL_SECONDS = 240
MEMORY_BYTES = 4 << 30
FILE_BYTES = 256 << 20
LONGEST_LINE = 3000
NOT_OURS = 70


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        code: exit code; negative: the signal that ended it.
        output: what it wrote to the terminal.
        seconds: of wall-clock time.
    """

    code: int
    output: str
    seconds: float

    @property
    def out_of_time(self) -> bool:
        """Whether it was ended for its time: a long run is no fault, a long check is one."""
        return self.code in (-signal.SIGXCPU, -signal.SIGKILL)

    def fault(self) -> str:
        """Return what is wrong with it; '' if nothing is."""
        if "Traceback (most recent call last)" in self.output or self.code == NOT_OURS:
            return "traceback"
        if "fault of jlrun" in self.output:
            return "reported as a fault of jlrun"
        if self.out_of_time:
            return "out of time"
        if self.code not in (0, 1, 2):
            return f"exit code {self.code}"
        if self.code and "jlrun" not in self.output:
            return f"exit code {self.code} without a message"
        longest = max(map(len, self.output.splitlines()), default=0)
        return "" if longest <= LONGEST_LINE else f"a line of {longest} characters"


def run(case: Case, folder: Path, prepare: Callable[[], None] = lambda: None) -> Outcome:
    """Run a case in ``folder``, an empty one, in a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder.with_suffix(".out")
    begun = time.monotonic()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _child(case, folder, log, prepare)
    code = _wait(child, begun + WALL_SECONDS)
    output = log.read_text(encoding="utf-8", errors="replace")
    log.unlink()
    return Outcome(code, output, time.monotonic() - begun)


def _wait(child: int, until: float) -> int:
    pause = 0.005
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.killpg(child, signal.SIGKILL)
        time.sleep(pause)
        pause = min(0.05, 1.5 * pause)


def _child(case: Case, folder: Path, log: Path, prepare: Callable[[], None]) -> NoReturn:
    code = NOT_OURS
    try:
        os.setsid()
        with log.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.stdin = open(os.devnull)  # noqa: SIM115 - as long as the process
        os.chdir(folder)
        os.environ["HOME"] = os.environ["JLRUN_CACHE"] = str(folder / "home")
        _without_network()
        prepare()
        case.prepare(folder)
        _limit()
        from jlrun.cli.main import main

        code = main(case.arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _without_network() -> None:
    """Refuse connections to other machines; workers of a data loader hand tensors over a socket
    of this one."""
    connect = socket.socket.connect

    def local_only(one: socket.socket, address: Any) -> None:
        if one.family != socket.AF_UNIX:
            raise OSError("the network is not reachable")
        connect(one, address)

    socket.socket.connect = local_only  # type: ignore[method-assign]


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
