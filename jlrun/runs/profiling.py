"""``debug=profile``: where the time of the main fit goes, and which override would help."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch

from jlrun.data.sampling import joint_batches
from jlrun.data.sources import available_cpus
from jlrun.engine import Engine
from jlrun.engine.reused_memory import ReuseMemory
from jlrun.reporting.recorders.chosen import Recorders
from jlrun.runs.assembly import Assembly
from jlrun.training.learner import build_learner
from jlrun.training.loop import TrainContext
from jlrun.training.plan import Fit, Phase
from jlrun.training.recorder import PhaseInfo, Recorder
from jlrun.training.step import train_step
from jlrun.training.timed import Part, TimedParts, timing

WARM_UP, TRACED = 5, 5  # first steps, that compile and fill caches; and those of the trace
EAGER_STEPS = 20
MUCH = 16 * 2**20  # bytes that the system hands out in a step
OF_A_STEP: tuple[Part, ...] = ("forward", "backward", "weighting", "optimizer")
TOLD: Mapping[str, str] = {
    "data": "waits for batches",
    "forward": "forward passes and losses",
    "backward": "backward passes",
    "weighting": "weights of task gradients",
    "optimizer": "norm of the gradient, clipping, and the update",
    "recording": "curves, files and display",
    "diagnosis": "gradients that diagnosis measures",
    "evaluation": "scores on validation rows",
    "checkpoints": "checkpoints",
    "the rest": "seeds, terms after a step, averages",
}


@contextmanager
def profiled(
    assembly: Assembly, fit: Fit, context: TrainContext, trace: Path
) -> Iterator[TrainContext]:
    """Return a context in which a fit is profiled; its end reports where the time went.

    Args:
        assembly: of the run.
        fit: that is about to be trained.
        context: of its training.
        trace: file for a trace of a few steps.
    """
    times = TimedParts(context.engine.synchronize)
    watch = _Watch(times, trace, context.engine)
    with timing(times):
        yield replace(context, recorder=Recorders([context.recorder, watch]))
    for line in _lines(assembly, fit, watch):
        context.recorder.message(line)


@dataclass(frozen=True)
class _Usage:
    """What the system counts of this process.

    Attributes:
        faults: pages that it was handed.
        user, system: seconds of CPU time, its own and the system's for it.
    """

    faults: int = 0
    user: float = 0.0
    system: float = 0.0

    @classmethod
    def now(cls) -> _Usage:
        """Return the counts so far."""
        found = resource.getrusage(resource.RUSAGE_SELF)
        return cls(found.ru_minflt, found.ru_utime, found.ru_stime)

    def __add__(self, other: _Usage) -> _Usage:
        faults, user = self.faults + other.faults, self.user + other.user
        return _Usage(faults, user, self.system + other.system)

    def __sub__(self, other: _Usage) -> _Usage:
        faults, user = self.faults - other.faults, self.user - other.user
        return _Usage(faults, user, self.system - other.system)

    @property
    def of_system(self) -> float:
        """The system's share of the CPU time."""
        return self.system / max(self.user + self.system, 1e-9)


class _Watch(Recorder):
    """Counts steps, writes the trace, and measures from the step after it."""

    def __init__(self, times: TimedParts, trace: Path, engine: Engine) -> None:
        self.times, self.trace = times, trace
        self.each: list[float] = []  # seconds of the parts of each step that is measured
        self.seconds = 0.0  # of these, and of what is between them
        self.warm_up = 0.0  # seconds of the first steps
        self.usage = _Usage()  # in the steps that are measured
        self._seen = 0
        self._engine = engine
        self._began, self._before = time.perf_counter(), _Usage.now()
        self._profiler: Any = None
        times.paused = True

    def begin_phase(self, phase: PhaseInfo) -> None:
        self._began, self._before = time.perf_counter(), _Usage.now()

    def step(self, step: int) -> None:
        self._seen += 1
        if not self.times.paused:
            self.each.append(_of_a_step(self.times) - sum(self.each))
        if self._seen == WARM_UP:
            self._engine.synchronize()
            self.warm_up = time.perf_counter() - self._began
            self._start_trace()
        elif self._seen == WARM_UP + TRACED:
            self._end_trace()
            self.times.paused = False
            self._began, self._before = time.perf_counter(), _Usage.now()

    @property
    def steps(self) -> int:
        """Number of steps that are measured."""
        return len(self.each)

    def end_phase(self) -> None:
        if not self.times.paused:
            self._engine.synchronize()
            self.seconds += time.perf_counter() - self._began
            self.usage += _Usage.now() - self._before

    def close_trace(self) -> None:
        """Write the trace of a fit that ended before it was complete."""
        if self._profiler is not None:
            self._end_trace()

    def _start_trace(self) -> None:
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # its notes are not for users
        from torch.profiler import ProfilerActivity, profile

        activities = [ProfilerActivity.CPU]
        if self._engine.device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
        self._profiler = profile(activities=activities, acc_events=True)
        self._profiler.start()

    def _end_trace(self) -> None:
        profiler, self._profiler = self._profiler, None
        profiler.stop()
        self.trace.parent.mkdir(parents=True, exist_ok=True)
        partial = self.trace.with_suffix(".partial.json")
        profiler.export_chrome_trace(str(partial))
        os.replace(partial, self.trace)


@dataclass(frozen=True)
class Facts:
    """Facts of a run on which advice depends.

    Attributes:
        shares: part -> share of the time.
        device: ``cpu``, ``cuda``, …; ``precision``, ``compiled``, ``workers``: the engine's.
        threads: that compute.
        cpus: processors that this process may use.
        batch_size: rows of a step.
        bytes_to_hold: of the splits that are read anew in each epoch; 0 where all are in memory.
        evaluation_batch, val_rows: rows that are scored at once, and in all.
        log_every: steps between points of curves.
        reuse_memory: what freed memory stays with the process.
        handed_out: bytes that the system hands out in a step; ``of_system``: its share of the CPU
            time, mostly for that where it is much.
    """

    shares: Mapping[str, float]
    device: str
    precision: str
    threads: int
    cpus: int
    workers: int
    batch_size: int
    bytes_to_hold: int
    evaluation_batch: int
    val_rows: int
    log_every: int
    compiled: bool
    reuse_memory: ReuseMemory
    handed_out: float
    of_system: float


def advice(facts: Facts) -> list[str]:
    """Return the overrides that would help, each with the reason, most of the time first."""
    found: list[tuple[float, str]] = []
    share = {part: facts.shares.get(part, 0.0) for part in TOLD}
    network = share["forward"] + share["backward"]
    if share["data"] >= 0.1 and facts.bytes_to_hold:
        size = -(-facts.bytes_to_hold // 2**20)
        held = f"engine.memory_budget={size}MB: all rows are decoded once and stay in memory"
        found.append((share["data"], held))
        if facts.workers < facts.cpus:
            more = f"engine.workers={facts.cpus}: as many processes decode rows"
            found.append((share["data"], more))
    if share["evaluation"] >= 0.2 and facts.evaluation_batch < facts.val_rows:
        rows = facts.val_rows
        found.append((share["evaluation"], f"engine.evaluation_batch={rows}: fewer passes score"))
    if share["recording"] >= 0.05:
        every = 10 * facts.log_every
        found.append((share["recording"], f"recorder.log_every={every}: fewer points of curves"))
    if share["diagnosis"] >= 0.1:
        found.append((share["diagnosis"], "diagnosis.every=null: gradients are not compared"))
    if share["weighting"] >= 0.1:
        again = "weighting.update_every=10: ten steps share a solution"
        found.append((share["weighting"], again))
    if share["optimizer"] + share["the rest"] >= 0.3:
        size = 4 * facts.batch_size
        fewer = f"batch_size={size}: what a step costs whatever its rows is paid less often"
        found.append((share["optimizer"] + share["the rest"], fewer))
    if network >= 0.5 and facts.device == "cpu" and facts.threads < facts.cpus:
        found.append((network, f"engine.threads={facts.cpus}: all processors compute"))
    anew = facts.of_system >= 0.1 and facts.handed_out >= MUCH
    if anew and facts.device == "cpu" and facts.reuse_memory != "all":
        size = facts.handed_out / 2**20
        kept = f"engine.reuse_memory=all: the system hands out {size:,.0f} MB anew in each step"
        found.append((facts.of_system, kept))
    if network >= 0.5 and facts.device == "cuda" and facts.precision == "fp32":
        found.append((network, "engine.precision=bf16: forward passes in half the bytes"))
    if network >= 0.5 and not facts.compiled:
        compiled = "engine.compile=true: this profile then says after how many steps it pays"
        found.append((network, compiled))
    return [line for _, line in sorted(found, key=lambda pair: -pair[0])]


def _lines(assembly: Assembly, fit: Fit, watch: _Watch) -> Iterator[str]:
    watch.close_trace()
    if not watch.steps:
        yield f"profile: {fit.name} has no step after the first {WARM_UP + TRACED}; use more epochs"
        return
    seconds = max(watch.seconds, 1e-9)
    spent: dict[str, float] = {**watch.times.seconds}
    spent["the rest"] = max(0.0, seconds - sum(spent.values()))
    step_ms = 1e3 * seconds / watch.steps
    yield f"profile of {fit.name}: {watch.steps:,} steps in {seconds:.1f} s, {step_ms:.2f} ms each"
    for part, told in TOLD.items():
        if part in spent:
            each = 1e3 * spent[part] / watch.steps
            yield f"  {spent[part] / seconds:6.1%} {each:9.3f} ms  {part + ':':12} {told}"
    facts = _facts(assembly, fit.phases[-1], {p: s / seconds for p, s in spent.items()}, watch)
    if facts.compiled:
        took = watch.warm_up + sum(watch.each)  # the model is compiled again for other shapes
        count = WARM_UP + watch.steps
        yield break_even(took, count, median(watch.each), _eager_seconds(assembly, fit))
    for line in advice(facts):
        yield f"  try {line}"
    yield f"  trace of {TRACED} steps, for ui.perfetto.dev or chrome://tracing: {watch.trace}"


def _of_a_step(times: TimedParts) -> float:
    return sum(times.seconds.get(part, 0.0) for part in OF_A_STEP)


def break_even(seconds: float, steps: int, compiled: float, eager: float) -> str:
    """Return in words after how many steps compiling pays.

    Args:
        seconds: of ``steps`` steps, in which the model was compiled.
        compiled, eager: seconds of a step of either kind, usually.
    """
    took, saved = max(0.0, seconds - steps * compiled), eager - compiled
    found = f"a step takes {1e3 * compiled:.2f} ms compiled and {1e3 * eager:.2f} ms as it is"
    if saved <= 0:
        return f"  engine.compile=true does not pay: {found}"
    pays = f"compiling took {took:.0f} s and pays after {took / saved:,.0f} steps"
    return f"  engine.compile=true: {found}; {pays}"


def _eager_seconds(assembly: Assembly, fit: Fit) -> float:
    """Return the seconds of a step of the fit's last phase without compiling, parts as measured."""
    engine, phase = replace(assembly.engine, compile=False), fit.phases[-1]
    learner = build_learner(replace(assembly, engine=engine).new_model(fit), phase, engine)
    learner.set_lr(1.0)
    batches = next(joint_batches(phase.train, phase.sampling, 0, 1, 0))
    for number in range(WARM_UP):
        train_step(learner, phase, batches, engine, number)
    found = []
    for number in range(WARM_UP, WARM_UP + EAGER_STEPS):
        with timing(times := TimedParts(engine.synchronize)):
            train_step(learner, phase, batches, engine, number)
        found.append(_of_a_step(times))
    return median(found)


def _facts(assembly: Assembly, phase: Phase, shares: Mapping[str, float], watch: _Watch) -> Facts:
    engine, settings = assembly.engine, assembly.settings
    streams = phase.train.values()
    large = [s.rows.num_bytes for s in streams if s.rows.num_bytes > engine.memory_budget]
    return Facts(
        shares=shares,
        device=engine.device.type,
        precision=engine.precision,
        threads=torch.get_num_threads(),
        cpus=available_cpus(),
        workers=engine.workers,
        batch_size=settings.data.batch_size,
        bytes_to_hold=max(large, default=0),
        evaluation_batch=settings.data.evaluation_batch,
        val_rows=max((len(s.rows) for s in phase.val.values()), default=0),
        log_every=settings.recorder.log_every,
        compiled=engine.compile,
        reuse_memory=settings.engine.reuse_memory,
        handed_out=watch.usage.faults * resource.getpagesize() / watch.steps,
        of_system=watch.usage.of_system,
    )
