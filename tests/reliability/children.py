"""Commands of jlrun, each in a process forked from one in which everything is imported."""

from __future__ import annotations

import gc
import os
import resource
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

CHANGES = {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.truncate"}
CRASHED = 99


@dataclass(frozen=True)
class End:
    """How a command ended: its exit code, or a negative signal number, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it had to say of a failure, without empty lines."""
        return [line for line in self.err.splitlines() if line.strip()]

    @property
    def one_line(self) -> bool:
        """Whether that is one line, or one for each problem of a configuration."""
        block = self.lines and self.lines[0].endswith("problems in the configuration")
        return (len(self.lines) == 1 or bool(block)) and "Traceback" not in self.out + self.err


def nothing() -> None:
    """Prepare nothing."""


class Child:
    """A command that runs.

    Args:
        arguments: of jlrun.
        cwd: its working directory.
        prepare: called in the process before the command.
    """

    def __init__(
        self, arguments: list[str], cwd: Path, prepare: Callable[[], None] = nothing
    ) -> None:
        self._files = [cwd / f".{name}_{len(list(cwd.iterdir()))}" for name in ("out", "err")]
        for file in self._files:
            file.touch()
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(_child(arguments, cwd, self._files, prepare))

    def stopped(self) -> None:
        """Wait until it has stopped itself (SIGSTOP)."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), self._end(status)

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def end(self) -> End:
        """Wait for its end."""
        return self._end(os.waitpid(self.pid, 0)[1])

    def _end(self, status: int) -> End:
        out, err = (file.read_text(errors="replace") for file in self._files)
        for file in self._files:
            file.unlink()
        return End(os.waitstatus_to_exitcode(status), out, err)


def run(arguments: list[str], cwd: Path, prepare: Callable[[], None] = nothing) -> End:
    """Run a command to its end."""
    return Child(arguments, cwd, prepare).end()


def warm_up(folder: Path, commands: Sequence[list[str]]) -> None:
    """Import what commands import, so that forked ones need not, by doing each once here."""
    from jlrun.cli.main import main

    before = Path.cwd()
    os.chdir(folder)
    try:
        with (
            open(os.devnull, "w") as nowhere,
            redirect_stdout(nowhere),
            redirect_stderr(nowhere),
        ):
            for command in commands:
                main(command)
    finally:
        os.chdir(before)
    import jlrun.cli.verbs.export
    import jlrun.cli.verbs.predict
    import jlrun.cli.verbs.train  # noqa: F401

    gc.collect()
    gc.freeze()  # no collection walks over it in a forked process, nor copies it


def signal_at_change(number: int, place: Path, count: int) -> Callable[[], None]:
    """Return what has a process send itself a signal at its n-th change of files in a folder.

    Changes are files opened to be written, renamed and removed, folders made and removed: so
    moments within the writing of a checkpoint are as likely as they are many.
    """

    def prepare() -> None:
        left = count

        def hook(event: str, arguments: tuple) -> None:
            nonlocal left
            if left and is_change(event, arguments, place):
                left -= 1
                if not left:
                    os.kill(os.getpid(), number)

        sys.addaudithook(hook)

    return prepare


def count_changes(place: Path, file: Path) -> Callable[[], None]:
    """Return what has a process write a byte to a file for each change; see above."""

    def prepare() -> None:
        descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

        def hook(event: str, arguments: tuple) -> None:
            if is_change(event, arguments, place):
                os.write(descriptor, b".")

        sys.addaudithook(hook)

    return prepare


def is_change(event: str, arguments: tuple, place: Path) -> bool:
    if event == "open":
        path, _, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        return bool(writes) and _is_in(path, place)
    return event in CHANGES and any(_is_in(path, place) for path in arguments)


def file_size_limit(num_bytes: int) -> Callable[[], None]:
    """Return what keeps a process from writing files that are larger."""

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, resource.RLIM_INFINITY))

    return prepare


def full_from_sync(count: int, error: int) -> Callable[[], None]:
    """Return what has every ``fsync`` from the n-th on fail, as on a full disk."""

    def prepare() -> None:
        left, fsync = count, os.fsync

        def failing(descriptor: int) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                raise OSError(error, os.strerror(error))
            fsync(descriptor)

        os.fsync = failing

    return prepare


def signal_at_step(number: int, count: int) -> Callable[[], None]:
    """Return what has a process send itself a signal after ``count`` steps, before the next."""

    def prepare() -> None:
        import jlrun.training.spans

        done, step = 0, jlrun.training.spans.train_step

        def signalling(*args: object, **kwargs: object) -> object:
            nonlocal done
            if done == count:
                os.kill(os.getpid(), number)
            done += 1
            return step(*args, **kwargs)  # pyright: ignore[reportArgumentType]

        jlrun.training.spans.train_step = signalling

    return prepare


def _is_in(path: object, place: Path) -> bool:
    return isinstance(path, str | bytes | os.PathLike) and os.path.abspath(
        os.fsdecode(path)
    ).startswith(str(place))


def _child(arguments: list[str], cwd: Path, files: list[Path], prepare: Callable[[], None]) -> int:
    try:
        os.chdir(cwd)
        for descriptor, file in zip((1, 2), files, strict=True):
            os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), descriptor)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
        sys.argv = ["jlrun", *arguments]
        from jlrun.cli.main import main

        prepare()
        code = main(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        os.write(2, traceback.format_exc().encode())
        return CRASHED
    return code
