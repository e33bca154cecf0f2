"""``python -m tests.reliability.server``: commands of jlrun, each in a forked process.

A line of the standard input is a JSON list: the folder to work in, the step after which the process
kills itself (null: never), and the arguments. Each is answered with a line: how the command ended,
an exit code or a negative signal number, and what it printed as an error.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.reliability import children, runs

ROOT = Path(__file__).parents[2]


class Server:
    """Server in a process of its own, which imports once what all commands need.

    Args:
        process: with pipes to it.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, cwd: Path, kill_after: int | None, arguments: list[str]) -> children.End:
        """Run a command to its end, or until it has done ``kill_after`` training steps."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([str(cwd), kill_after, arguments]), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, "the server has ended"
        code, errors = json.loads(answer)
        return children.End(code, "", errors)


@contextmanager
def serving() -> Iterator[Server]:
    """Start a server, and end it afterwards."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.reliability.server"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Server(process)


def main() -> None:
    with TemporaryDirectory() as folder:
        children.warm_up(Path(folder), [runs.train("warm")])
    for line in sys.stdin:
        cwd, kill_after, arguments = json.loads(line)
        prepare = (
            children.signal_at_step(signal.SIGKILL, kill_after) if kill_after else children.nothing
        )
        end = children.run(arguments, Path(cwd), prepare)
        print(json.dumps([end.code, end.err]), flush=True)


if __name__ == "__main__":
    main()
