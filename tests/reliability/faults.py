"""Faults, each done to a small run, and whether what came of it is allowed.

Allowed is that the run, gone on with, equals the uninterrupted one bit for bit; or that a command
refuses, with one line and the exit code 2 (1 where a run failed that had begun).
"""

from __future__ import annotations

import errno
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.reliability import children
from tests.reliability.children import End, run
from tests.reliability.runs import outcome, train

MOST_RESUMES = 3


@dataclass(frozen=True)
class Outcome:
    """What came of a fault.

    Attributes:
        kind: row of the table.
        fault: what was done.
        came: ``the same``, ``one line`` or ``unharmed``; anything else is not allowed.
        detail: what was printed.
    """

    kind: str
    fault: str
    came: str
    detail: str = ""

    @property
    def allowed(self) -> bool:
        return self.came in ("the same", "one line", "unharmed")


class Workshop:
    """A folder with an uninterrupted run, one that was stopped half-way, and copies of them.

    Args:
        folder: an empty one.
        seed: of what is drawn.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder.resolve()
        self.draw = random.Random(seed)
        self.count = 0
        changes = self.folder / "changes"
        end = run(train("whole"), self.folder, children.count_changes(self.whole, changes))
        assert end.code == 0, end
        self.num_changes = changes.stat().st_size
        self.expected = outcome(self.whole)
        halfway = children.signal_at_change(signal.SIGKILL, self.half, self.num_changes * 2 // 3)
        assert run(train("half"), self.folder, halfway).code == -signal.SIGKILL

    @property
    def whole(self) -> Path:
        return self.folder / "whole"

    @property
    def half(self) -> Path:
        return self.folder / "half"

    def new(self) -> Path:
        """Return a folder that does not exist yet."""
        self.count += 1
        return self.folder / f"run{self.count}"

    def copy(self, of: Path) -> Path:
        place = self.new()
        shutil.copytree(of, place)
        return place

    def go_on(self, place: Path) -> str:
        """Resume a run to its end, or begin it anew if it had not begun; say what came of it."""
        for _ in range(MOST_RESUMES):
            begun = (place / "config.yaml").exists()
            end = run(["resume", place.name] if begun else train(place.name), self.folder)
            if end.code == 0 or "is complete" in end.err:
                return self.compared(place)
            if end.code == 2 and end.one_line:
                return "one line"
        return f"ended with {end.code}: {end.err[-400:]}"

    def compared(self, place: Path) -> str:
        found = outcome(place)
        wrong = [name for name, value in self.expected.items() if found.get(name) != value]
        return "the same" if not wrong else f"other {', '.join(wrong)}"


def kills(shop: Workshop, count: int) -> Iterator[Outcome]:
    """Send a signal at a drawn change of files, and go on."""
    for i in range(count):
        number = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[i % 4]
        place, at = shop.new(), shop.draw.randint(1, shop.num_changes)
        end = run(train(place.name), shop.folder, children.signal_at_change(number, place, at))
        fault = f"{number.name} at change {at} of {shop.num_changes}"
        kind = f"{number.name} at a random moment"
        if number != signal.SIGKILL and end.code not in (0, 130):
            yield Outcome(kind, fault, f"ended with {end.code}", end.err)
            continue
        yield Outcome(kind, fault, shop.go_on(place), end.err)


def kills_of_resumes(shop: Workshop, count: int) -> Iterator[Outcome]:
    """Kill a run, and what resumes it, each at a drawn change of files."""
    for _ in range(count):
        place = shop.copy(shop.half)
        at = shop.draw.randint(1, shop.num_changes // 2)
        kill = children.signal_at_change(signal.SIGKILL, place, at)
        run(["resume", place.name], shop.folder, kill)
        fault = f"SIGKILL of resume at change {at}"
        yield Outcome("SIGKILL of `resume` at a random moment", fault, shop.go_on(place))


def full_disks(shop: Workshop, count: int) -> Iterator[Outcome]:
    """Train with a limit of the size of files, and on a disk that gets full; go on with room."""
    largest = max(file.stat().st_size for file in shop.whole.rglob("*") if file.is_file())
    for i in range(count):
        place = shop.new()
        if i % 2:
            number = shop.draw.randint(1, 30)
            fault, kind = f"ENOSPC from fsync {number}", "full disk (ENOSPC)"
            prepare = children.full_from_sync(number, errno.ENOSPC)
        else:
            size = shop.draw.choice([1000, 3000, 20_000, largest // 2, largest - 1])
            fault, kind = f"files of at most {size} bytes", "limit of the size of files (EFBIG)"
            prepare = children.file_size_limit(size)
        end = run(train(place.name), shop.folder, prepare)
        if end.code == 0:
            yield Outcome(kind, fault, shop.compared(place))
        elif end.code not in (1, 2) or not end.one_line:
            yield Outcome(kind, fault, f"ended with {end.code}: {end.err[-600:]}")
        else:
            yield Outcome(kind, fault, shop.go_on(place), end.err)


def bad_places(shop: Workshop) -> Iterator[Outcome]:
    """Name places that can't be written: refused before any work."""
    file = shop.folder / "file"
    file.touch()
    places = ["file/run", "/proc/run", "/dev/null/run", "n" * 300, "file"]
    run_of = shop.copy(shop.whole).name
    for place in places:
        commands = {
            "train": [*train(place)],
            "sweep": ["--multirun", *train("x")[:-1], f"hydra.sweep.dir={place}"],
            "export": ["export", run_of, "--output", place],
            "predict": ["predict", run_of, "--input", "x.npy", "--output", f"{place}/p.csv"],
            "evaluate": ["evaluate", run_of, "--output", f"{place}/e.json"],
            "diagnose": ["diagnose", run_of, "--output", f"{place}/d.json"],
            "soup": ["soup", run_of, "whole", "--output", place],
        }
        for verb, command in commands.items():
            yield _refused(f"impossible place: `{verb}`", place[:20], run(command, shop.folder))


def two_processes(shop: Workshop) -> Iterator[Outcome]:
    """Start a second process on a run while the first one is stopped in the middle of training."""
    place = shop.new()
    first = children.Child(
        train(place.name), shop.folder, children.signal_at_step(signal.SIGSTOP, 5)
    )
    first.stopped()
    seconds = {"resume": ["resume", place.name], "train": train(place.name)}
    for verb, command in seconds.items():
        end = run(command, shop.folder)
        refused = _refused(f"second process: `{verb}`", "first in training", end)
        named = f"process {first.pid} on " in end.err
        yield refused if named else Outcome(refused.kind, refused.fault, "names no holder", end.err)
    for verb in ("evaluate", "predict", "export", "diagnose"):
        end = run(verb_command(verb, place.name, f"{place.name}_{verb}"), shop.folder)
        came = "unharmed" if end.code == 0 else f"ended with {end.code}: {end.err[-400:]}"
        yield Outcome(f"reading while a run trains: `{verb}`", "first in training", came)
    first.send(signal.SIGCONT)
    end = first.end()
    came = shop.compared(place) if end.code == 0 else f"ended with {end.code}: {end.err[-400:]}"
    yield Outcome("the first of two processes", "goes on", came)

    place = shop.new()
    first = children.Child(
        train(place.name), shop.folder, children.signal_at_step(signal.SIGSTOP, 5)
    )
    first.stopped()
    first.send(signal.SIGKILL)
    first.end()
    yield Outcome("the first of two is killed", "the lock is free", shop.go_on(place))


VERBS = ("resume", "evaluate", "predict", "export", "diagnose", "soup", "rank", "source.run")
FILES = (
    "checkpoints/last/model.safetensors",
    "checkpoints/last/state.pt",
    "checkpoints/last/SHA256SUMS",
    "checkpoints/best/model.safetensors",
    "checkpoints/best/state.pt",
    "checkpoints/best/SHA256SUMS",
    "checkpoints/last",
    "checkpoints/best",
    "checkpoints/fit.json",
    "result.json",
    "model.json",
    "metrics.csv",
    "config.yaml",
    "overrides.yaml",
    "environment.json",
    "log.txt",
    "tb/*",
)
CHECKPOINT_FILES = FILES[:6]


def verb_command(verb: str, name: str, output: str) -> list[str]:
    """Return a command that reads a run."""
    target = ["dataset=digits", "dataset.limit=48", "tasks=[digit]"]
    return {
        "resume": ["resume", name],
        "evaluate": ["evaluate", name, "--output", f"{output}.json"],
        "predict": ["predict", name, "--input", "x.npy", "--output", f"{output}.csv"],
        "export": ["export", name, "--output", output],
        "diagnose": ["diagnose", name, "--batches", "1", "--output", f"{output}.json"],
        "soup": ["soup", name, "whole", "--output", output],
        "rank": ["rank", *target, "--runs", name],
        "source.run": [
            *("mode=transfer", f"source.run={name}", "tasks=[digit]", "target.limit=48"),
            *("epochs=1", "baselines=false", "backbone/image=mlp", "recorder.progress=none"),
            f"hydra.run.dir={output}",
        ],
    }[verb]


def flip(file: Path, draw: random.Random) -> None:
    content = bytearray(file.read_bytes())
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    file.write_bytes(content)


def truncate(file: Path, draw: random.Random) -> None:
    file.write_bytes(file.read_bytes()[: draw.randrange(file.stat().st_size)])


def other_json(file: Path, draw: random.Random) -> None:
    file.write_text(draw.choice(['{"a": 1}', "[]", "null", '"x"', "3", "{}"]))


def as_folder(file: Path, draw: random.Random) -> None:
    _remove(file)
    file.mkdir()


def as_file(folder: Path, draw: random.Random) -> None:
    shutil.rmtree(folder)
    folder.write_text("x")


def _remove(file: Path, draw: random.Random | None = None) -> None:
    if file.is_dir():
        shutil.rmtree(file)
    else:
        file.unlink()


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "one bit flipped": flip,
    "truncated": truncate,
    "empty": lambda file, draw: file.write_bytes(b""),
    "random bytes": lambda file, draw: file.write_bytes(draw.randbytes(200)),
    "other content": other_json,
    "a folder instead": as_folder,
    "missing": _remove,
}
FOLDER_DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "a file instead": as_file,
    "missing": _remove,
}


def combinations() -> list[tuple[str, str, str]]:
    """Return every file, damage and verb."""
    return [
        (file, damage, verb)
        for file in FILES
        for damage in (FOLDER_DAMAGES if file in FILES[6:8] else DAMAGES)
        for verb in VERBS
    ]


def damages(shop: Workshop, count: int | None) -> Iterator[Outcome]:
    """Damage a file, and use the run: all combinations, or some that are drawn."""
    chosen = combinations()
    if count is not None:
        chosen = shop.draw.sample(chosen, count)
    for file, damage, verb in chosen:
        yield damaged(shop, file, damage, verb)


def damaged(shop: Workshop, file: str, damage: str, verb: str) -> Outcome:
    """Damage a file, and use the run."""
    place = shop.copy(shop.half if verb == "resume" else shop.whole)
    kind, fault = f"{damage}: `{verb}`", f"{file} {damage}"
    found = sorted(place.glob(file))
    if not found:  # a run that was killed has no fit.json
        return Outcome(kind, fault, "unharmed", "no such file")
    (FOLDER_DAMAGES | DAMAGES)[damage](found[0], shop.draw)
    output = f"{place.name}_out"
    end = run(verb_command(verb, place.name, output), shop.folder)
    came = _came_of_damage(shop, place, file, verb, end)
    for left in (place, *shop.folder.glob(f"{output}*")):
        with suppress(FileNotFoundError):
            _remove(left)
    return Outcome(kind, fault, came, end.err)


def _came_of_damage(shop: Workshop, place: Path, file: str, verb: str, end: End) -> str:
    if end.code == 2 and end.one_line:
        return "one line"
    if end.code != 0:
        return f"ended with {end.code}: {end.err[-600:]}"
    if verb == "resume":
        return shop.compared(place)
    if file in CHECKPOINT_FILES and "best" in file:
        return "taken for sound"
    return "unharmed"


def _refused(kind: str, fault: str, end: End) -> Outcome:
    refused = end.code == 2 and end.one_line
    return Outcome(kind, fault, "one line" if refused else f"ended with {end.code}", end.err)
