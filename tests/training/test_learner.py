"""Learner: what is fixed about its updates goes with its checkpoint."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from jlrun.engine import Engine
from jlrun.training.learner import build_learner
from jlrun.training.step import train_step
from tests.toy import CPU, toy_batch, toy_model, toy_phase, toy_recipe


@pytest.mark.parametrize("kernel", ["foreach", "fused"])
def test_a_learner_that_goes_on_has_the_kernels_of_its_checkpoint(kernel: str) -> None:
    def adam(groups: list[dict]) -> torch.optim.Optimizer:
        return torch.optim.Adam(groups, lr=0.01, **options)  # pyright: ignore[reportArgumentType]

    options: dict[str, bool] = {kernel: True}
    phase = toy_phase(recipe=replace(toy_recipe(), make_optimizer=adam))
    engine, model = Engine(CPU), toy_model(dropout=0.0)
    learner = build_learner(model, phase, engine)
    learner.set_lr(1.0)
    for number in range(2):
        train_step(learner, phase, {"dataset": toy_batch(seed=number)}, engine, number)
    options.clear()  # as another version of jlrun, or another machine, would choose
    other = toy_model(dropout=0.0)
    other.load_state_dict(model.state_dict())
    resumed = build_learner(other, phase, engine)
    assert all(group["fused"] for group in resumed.optimizer.param_groups)
    resumed.load_state_dict(deepcopy(learner.state_dict()))
    resumed.set_lr(1.0)
    assert all(group[kernel] for group in resumed.optimizer.param_groups)
    for each in (learner, resumed):
        train_step(each, phase, {"dataset": toy_batch(seed=2)}, engine, 2)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
