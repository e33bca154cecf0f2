"""Twelve short jobs of a sweep two at a time, against the same jobs one after another.

Both are the command as a user types it, start and summary included. The case `own cost` compares a
whole sweep in one process with the time within its jobs, from one launch: 1.03 is 3 %. The CPU
time of two jobs at once is that of the command alone: its jobs are processes of a server, which the
system counts to nobody.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import chdir, redirect_stdout
from io import StringIO

from omegaconf import DictConfig

from benchmarks.alternation import Comparison, Sample
from jlrun.runs.sweeps.launch import launch
from jlrun.runs.sweeps.sweep_job import run_job

JOBS = 12
TWO, OWN = "two jobs at once", "own cost"
SWEEP = ("mode=multitask", "dataset=multidigits", "epochs=8", "patience=null", "baselines=false")
QUIET = ("recorder.progress=none", "recorder.tensorboard=false", "recorder.figures=false")


def measure(rounds: int, threads: int, names: Sequence[str] = ()) -> Iterator[Comparison]:
    """Yield the comparison of each case, or of those with ``names``."""
    if not names or TWO in names:
        yield _two_at_once(rounds, threads)
    if not names or OWN in names:
        yield _own_cost(rounds, threads)


def _overrides(threads: int) -> list[str]:
    seeds = ",".join(map(str, range(JOBS)))
    return [*SWEEP, *QUIET, f"seed={seeds}", f"engine.threads={threads}"]


def _two_at_once(rounds: int, threads: int) -> Comparison:
    found = Comparison(TWO, "one after another", "command", facts={"jobs": JOBS})
    for _ in range(rounds):
        ours = _command([*_overrides(threads), "sweep.jobs=2"], threads)
        found.add(ours, _command(_overrides(threads), threads))
    return found


def _command(overrides: Sequence[str], threads: int) -> Sample:
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "jlrun", "--multirun", *overrides]
    with tempfile.TemporaryDirectory() as folder:
        before = Sample(Sample.now().wall, _cpu_of_children())
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
        return Sample(Sample.now().wall, _cpu_of_children()) - before


def _cpu_of_children() -> float:
    used = os.times()
    return used.children_user + used.children_system


def _own_cost(rounds: int, threads: int) -> Comparison:
    found = Comparison(OWN, "its jobs alone", "sweep", facts={"jobs": JOBS})
    for number in range(rounds + 1):
        samples: list[Sample] = []

        def timed(cfg: DictConfig, samples: list[Sample] = samples) -> None:
            samples.append(Sample.of(lambda: run_job(cfg)))

        with tempfile.TemporaryDirectory() as folder, chdir(folder), redirect_stdout(StringIO()):
            whole = Sample.of(lambda: launch(_overrides(threads), function=timed))
        if number:  # the first round imports
            jobs = Sample(sum(s.wall for s in samples), sum(s.cpu for s in samples))
            found.add(whole, jobs)
    return found
