"""The runs of a sweep that train as one, against one of them that trains by itself.

`16 MLPs` are 4 seeds and 4 learning rates of the digits MLP, `8 CNNs` 8 seeds of the textbook CNN,
both at batch size 64. A training is some epochs with a validation after each, without records. The
ratio would be 16 and 8 one after the other; the JSON file has that of the steps alone as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from benchmarks.alternation import Comparison, Sample
from benchmarks.cases import CASES
from jlrun.engine import session
from jlrun.runs.assembly import Assembly
from jlrun.training.learner import build_learner
from jlrun.training.loop import training
from jlrun.training.recorder import Recorder
from jlrun.training.spans import PhaseRun, TrainContext, Training, alone
from jlrun.training.stacked.together import Member, together
from jlrun.training.state import PhaseState

RATES = (3e-4, 1e-3, 3e-3, 1e-2)
SWEEPS = {
    "16 MLPs": ("MLP, one task", 10, tuple(product(range(4), RATES))),
    "8 CNNs": ("CNN", 2, tuple((seed, 1e-3) for seed in range(8))),
}


def measure(rounds: int, threads: int, names: Sequence[str] = ()) -> Iterator[Comparison]:
    """Yield the comparison of each sweep, or of those with ``names``."""
    with session(threads=threads, deterministic=True):
        for name in SWEEPS:
            if not names or name in names:
                yield _compare(name, rounds)


def _compare(name: str, rounds: int) -> Comparison:
    case, epochs, runs = SWEEPS[name]
    more = (f"epochs={epochs}", "patience=null")
    made = [CASES[case].assemble(*more, f"seed={s}", f"optimizer.lr={r}") for s, r in runs]
    facts: dict[str, Any] = {"runs": len(runs), "epochs": epochs, "ratios_of_steps": []}
    found = Comparison(name, "one run", "training", facts=facts)
    for number in range(rounds + 1):
        states = [PhaseState() for _ in made]
        members = [
            Member(str(i), _training(assembly, state), name)
            for i, (assembly, state) in enumerate(zip(made, states, strict=True))
        ]
        ours = Sample.of(lambda members=members: together(members, _raise, lambda: False))
        state = PhaseState()
        theirs = Sample.of(lambda state=state: alone(_training(made[0], state)))
        if number:  # the first round is slow
            found.add(ours, theirs)
            steps = sum(each.seconds for each in states) / state.seconds
            facts["ratios_of_steps"].append(steps)
    return found


def _training(assembly: Assembly, state: PhaseState) -> Training[None]:
    fit = assembly.plan.fits[0]
    phase, settings = fit.phases[-1], assembly.settings
    learner = build_learner(assembly.new_model(fit), phase, assembly.engine)
    log_every = settings.recorder.log_every
    context = TrainContext(assembly.engine, Recorder(), settings.seed, log_every, lambda: False)
    run = PhaseRun("main", phase, learner, state, 0, lambda force: None)
    return training(run, context)


def _raise(member: Member) -> None:
    if member.error is not None:
        raise member.error
