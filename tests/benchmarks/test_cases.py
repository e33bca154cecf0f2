"""The plain loop is the loop of jlrun, as far as it goes: the same work, so that times compare."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks.cases import CASES, PlainLoop
from jlrun.data.sampling import Alone
from jlrun.engine import session
from jlrun.training.learner import build_learner
from jlrun.training.loop import train
from jlrun.training.recorder import NullRecorder
from jlrun.training.spans import PhaseRun, TrainContext
from jlrun.training.state import PhaseState

STEPS = 20  # more than an epoch


@pytest.mark.parametrize("name", ["MLP, one task", "MLP, two tasks", "CNN", "image and audio"])
def test_plain_loop_learns_what_jlrun_learns(name: str) -> None:
    with session(threads=1, deterministic=True):
        assembly = CASES[name].assemble("scheduler=constant")
        fit = assembly.plan.fits[0]
        phase = replace(fit.phases[-1], sampling=Alone(STEPS), epochs=1)
        (stream,) = phase.train.values()
        model = assembly.new_model(fit)
        learner = build_learner(model, phase, assembly.engine)
        run = PhaseRun("main", phase, learner, PhaseState(), 0, lambda force: None)
        train(run, TrainContext(assembly.engine, NullRecorder(), 0, 10, lambda: False))
        plain = PlainLoop(assembly, stream.order)
        plain.steps(STEPS)
    ours = model.body.trunk.encoders.state_dict()
    for weight, found in plain.model.encoders.state_dict().items():
        torch.testing.assert_close(found, ours[weight], rtol=1e-3, atol=1e-4)
    means = run.state.best.scores
    loss, accuracy = plain.validate()
    assert loss == pytest.approx(sum(scores["loss"] for scores in means.values()), rel=1e-3)
    assert accuracy == pytest.approx({n: s["accuracy"] for n, s in means.items()}, abs=0.005)
