"""How much memory a run on a table takes, by its number of rows.

    python benchmarks/table_memory.py [--rows 10000,100000,300000,1000000] [--output FILE.md]

Writes CSV files of texts, numbers and categories, and trains a small model on each, for 200 steps
or an epoch (312 steps of a million rows), in a process of its own, whose memory is looked at 20
times a second: once with a memory budget of 16 MB, so that rows are read from disk when they are
needed, and once with all of them held in memory.

``anonymous`` is what the process has allocated: the most that was seen. ``resident`` is the peak of
the resident set as the kernel counts it (``ru_maxrss``): it has also the pages of files that are
mapped, the converted columns of the table among them, as long as nobody else needs that memory:
they are the page cache, and the kernel takes them back whenever it likes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

STEPS, BATCH, TRAINED = 200, 2048, 0.64
ROWS_AT_ONCE = 20_000
MEGABYTE = 2**20


def main() -> None:
    """Measure every number of rows, and write a table and a picture."""
    parser = argparse.ArgumentParser(description="Peak memory of runs on tables.")
    parser.add_argument("--rows", default="10000,100000,300000,1000000")
    parser.add_argument("--output", type=Path, help="write a Markdown table, and a PNG beside it")
    options = parser.parse_args()
    found = list[Measured]()
    with tempfile.TemporaryDirectory() as folder:
        for count in map(int, options.rows.split(",")):
            path = Path(folder, f"{count}.csv")
            write_table(path, count)
            for budget in ("16MB", "64GB"):
                found.append(measure(path, count, budget))
                print(found[-1].line(), flush=True)
            path.unlink()
    if options.output is not None:
        write_results(options.output, found)


@dataclass(frozen=True)
class Measured:
    """What a run took.

    Attributes:
        rows, file_bytes: size of the table.
        budget: ``engine.memory_budget``.
        resident, anonymous: peaks in bytes.
        seconds: of the whole command, and of training alone.
        accuracy: on the test split.
    """

    rows: int
    file_bytes: int
    budget: str
    resident: int
    anonymous: int
    seconds: float
    training_seconds: float
    accuracy: float

    def line(self) -> str:
        """Return a row of the Markdown table."""
        megabytes = (self.file_bytes, self.resident, self.anonymous)
        sizes = " | ".join(f"{size / MEGABYTE:,.0f}" for size in megabytes)
        times = f"{self.seconds:.0f} | {self.training_seconds:.0f}"
        return f"| {self.rows:,} | {self.budget} | {sizes} | {times} | {self.accuracy:.3f} |"


def write_table(path: Path, count: int) -> None:
    """Write rows whose words and numbers tell their label, most of the time."""
    generator = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(20_000)])
    frequency = 1 / np.arange(1, len(words) + 1)
    frequency /= frequency.sum()
    with path.open("w", encoding="utf-8") as file:
        file.write("text,size,weight,place,label\n")
        for start in range(0, count, ROWS_AT_ONCE):
            file.writelines(_lines(generator, words, frequency, min(ROWS_AT_ONCE, count - start)))


def _lines(
    generator: np.random.Generator, words: np.ndarray, frequency: np.ndarray, count: int
) -> Iterator[str]:
    labels = generator.integers(0, 4, count)
    lengths = generator.integers(12, 40, count)
    drawn = words[generator.choice(len(words), int(lengths.sum()), p=frequency)]
    numbers = generator.normal(labels[:, None] / 2, 1, (count, 2))
    places = generator.integers(0, 50, count)
    texts = np.split(drawn, lengths.cumsum()[:-1])
    for label, text, (size, weight), place in zip(labels, texts, numbers, places, strict=True):
        told = f"label{label} " if generator.random() < 0.7 else ""
        yield f"{told}{' '.join(text)},{size:.4f},{weight:.4f},place{place},c{label}\n"


def measure(path: Path, count: int, budget: str) -> Measured:
    """Train on the table in a process of its own, and watch it."""
    trained = round(TRAINED * count)
    per_epoch = max(1, trained // BATCH)
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "jlrun", "mode=multimodal", "dataset=table"),
            *(f"dataset.path={path}", "dataset.targets=[label]", f"dataset.cache={folder}/cache"),
            *(f"epochs={max(1, round(STEPS / per_epoch))}", f"batch_size={min(BATCH, trained)}"),
            *("baselines=false", "recorder.figures=false", "recorder.tensorboard=false"),
            *(f"engine.memory_budget={budget}", "engine.workers=0", "engine.threads=1"),
            *("backbone.text.width=32", "backbone.tabular.hidden=[32]", "fusion.width=32"),
            *(
                "dataset.text.max_size=5000",
                "recorder.progress=none",
                f"hydra.run.dir={folder}/run",
            ),
        ]
        start = time.perf_counter()
        resident, anonymous = _watched(command)
        seconds = time.perf_counter() - start
        result = json.loads(Path(folder, "run", "result.json").read_text())
    return Measured(
        count,
        path.stat().st_size,
        budget,
        resident,
        anonymous,
        seconds,
        result["cost"]["train_seconds"],
        result["test"]["label"]["accuracy"],
    )


def _watched(command: list[str]) -> tuple[int, int]:
    """Run a command and return the peaks of its resident and of its anonymous memory, in bytes."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, _anonymous(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    done.set()
    watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return usage.ru_maxrss * 1024, peak


def _anonymous(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(x.split()[1]) * 1024 for x in lines if x.startswith("RssAnon")), 0)


def write_results(output: Path, found: list[Measured]) -> None:
    """Write the table and a picture."""
    import matplotlib.pyplot as plt

    header = [
        "| rows | memory budget | file, MB | resident, MB | anonymous, MB | command, s "
        + "| training, s | accuracy |",
        "|---|---|---|---|---|---|---|---|",
    ]
    told = f"{platform.machine()}, {os.cpu_count()} CPU cores, one thread, Python "
    told += platform.python_version()
    output.write_text("\n".join([told, "", *header, *(m.line() for m in found)]) + "\n")
    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for budget, name in (("16MB", "read when needed"), ("64GB", "held in memory")):
        some = [m for m in found if m.budget == budget]
        rows = [m.rows for m in some]
        axes.plot(rows, [m.anonymous / MEGABYTE for m in some], marker="o", label=name)
    rows = sorted({m.rows for m in found})
    sizes = [next(m.file_bytes for m in found if m.rows == r) / MEGABYTE for r in rows]
    axes.plot(rows, sizes, color="gray", linestyle=":", label="size of the file")
    axes.set(xlabel="rows", ylabel="peak of allocated memory, MB", ylim=(0, None))
    axes.legend()
    figure.savefig(output.with_suffix(".png"), dpi=120)


if __name__ == "__main__":
    main()
