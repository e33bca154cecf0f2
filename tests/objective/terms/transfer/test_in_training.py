"""Terms that hold on to the start, in the training of a phase."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from jlrun.engine import Engine
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import Term
from jlrun.objective.terms.transfer import BSS, DELTA, L2SP, LwF
from jlrun.training.learner import Learner, build_learner
from jlrun.training.plan import Phase
from jlrun.training.step import train_step
from tests.toy import (
    CPU,
    toy_batch,
    toy_model,
    toy_objectives,
    toy_phase,
    toy_recipe,
    toy_rows,
    toy_stream,
)

TERMS: dict[str, Callable[[], Term]] = {
    "l2_sp": lambda: L2SP(weight=1.0),
    "delta": lambda: DELTA(weight=1.0),
    "delta of features": lambda: DELTA(weight=1.0, stages="last"),
    "bss": lambda: BSS(weight=1.0),
    "lwf": lambda: LwF(tasks=["sign"]),
}


def phase_with(make: Callable[[], Term] | None, learned: bool = True) -> Phase:
    terms = dict if make is None else lambda: {"term": make()}
    phase = toy_phase(recipe=toy_recipe(terms=terms))
    objectives = toy_objectives("target")
    return replace(
        phase,
        train={"target": toy_stream("target")},
        val={"target": toy_stream("target", rows=toy_rows(seed=1))},
        objectives=objectives,
        selection=objectives,
        learned=learned,
    )


def train(learner: Learner, phase: Phase, numbers: range) -> dict[str, Tensor]:
    for number in numbers:
        torch.manual_seed(number)
        train_step(learner, phase, {"target": toy_batch(seed=number)}, Engine(CPU), number)
    return {name: p.detach().clone() for name, p in learner.model.named_parameters()}


@pytest.mark.parametrize("name", TERMS)
def test_training_goes_on_from_its_state_as_if_it_had_not_stopped(name: str) -> None:
    phase = phase_with(TERMS[name])
    whole = train(build_learner(toy_model(), phase, Engine(CPU)), phase, range(6))
    first = build_learner(toy_model(), phase, Engine(CPU))
    train(first, phase, range(3))
    # the phase begins again, on weights of its middle
    second = build_learner(first.model, phase, Engine(CPU))
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(train(second, phase, range(3, 6)), whole, rtol=0, atol=0)


@pytest.mark.parametrize("name", TERMS)
def test_it_acts_only_where_the_first_weights_were_learned(name: str) -> None:
    def trained(phase: Phase) -> dict[str, Tensor]:
        return train(build_learner(toy_model(dropout=0.0), phase, Engine(CPU)), phase, range(4))

    plain = trained(phase_with(None))
    torch.testing.assert_close(trained(phase_with(TERMS[name], learned=False)), plain)
    moved = trained(phase_with(TERMS[name]))
    assert any(not torch.allclose(moved[n], plain[n]) for n in plain)


def weights(model: JointModel) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.body.parameters()])


def features(model: JointModel) -> Tensor:
    return model.eval().encode(toy_batch(32, seed=9)).detach()


@pytest.mark.parametrize(
    ("name", "measure"), [("l2_sp", weights), ("delta", features), ("delta of features", features)]
)
def test_it_keeps_what_it_is_about_nearer_to_the_start(
    name: str, measure: Callable[[JointModel], Tensor]
) -> None:
    before = measure(toy_model(dropout=0.0))

    def distance(make: Callable[[], Term] | None) -> float:
        phase = replace(phase_with(make), batch_norm="freeze")
        learner = build_learner(toy_model(dropout=0.0), phase, Engine(CPU))
        train(learner, phase, range(15))
        return float((measure(learner.model) - before).square().sum())

    assert distance(TERMS[name]) < 0.5 * distance(None)
