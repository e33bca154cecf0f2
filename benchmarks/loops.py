"""jlrun's own training loop, some steps at a time, for benchmarks that give others a turn."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from itertools import repeat

from jlrun.data.batch import Batch
from jlrun.data.sampling import Alone
from jlrun.data.streams import Stream
from jlrun.engine import Engine
from jlrun.models.joint_model import JointModel
from jlrun.runs.assembly import Assembly
from jlrun.training.learner import build_learner
from jlrun.training.loop import training
from jlrun.training.plan import Phase
from jlrun.training.recorder import Recorder
from jlrun.training.spans import PhaseRun, TrainContext
from jlrun.training.state import PhaseState


class JlrunLoop:
    """A phase that trains without end, recording every ten steps as by default, to nowhere.

    Args:
        model: on the device.
        phase: what is trained; its one stream feeds all steps.
        engine: where and how.
        most: steps that may be asked for in all.
    """

    def __init__(self, model: JointModel, phase: Phase, engine: Engine, most: int) -> None:
        phase = replace(phase, sampling=Alone(most + 1), epochs=1)
        self._state = PhaseState()
        learner = build_learner(model, phase, engine)
        run = PhaseRun("main", phase, learner, self._state, 0, lambda force: None)
        self._spans = training(run, TrainContext(engine, Recorder(), 0, 10, lambda: False))

    @classmethod
    def of(cls, assembly: Assembly, most: int, stream: Stream | None = None) -> JlrunLoop:
        """Return the loop of a run's main fit; ``stream``: instead of its own."""
        fit, engine = assembly.plan.fits[0], assembly.engine
        phase = fit.phases[-1]
        if stream is not None:
            phase = replace(phase, train=dict.fromkeys(phase.train, stream))
        return cls(assembly.new_model(fit), phase, engine, most)

    def steps(self, count: int) -> None:
        """Train for ``count`` steps."""
        stop = self._state.step + count
        while self._state.step < stop:
            span = next(self._spans)
            span.stop = min(span.stop, stop)
            span.advance()


class Repeated(Stream):
    """A stream whose batches are all the same one, made before: training without data."""

    @classmethod
    def of(cls, stream: Stream) -> Repeated:
        """Return the first batch of a stream, without end."""
        found = copy(stream)
        found.__class__ = cls
        assert isinstance(found, Repeated)
        found._batch = next(iter(stream.batches(0, 1)))
        return found

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """Yield the batch as often as asked."""
        return repeat(self._batch, stop - start)
