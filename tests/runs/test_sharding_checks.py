"""What can't be sharded says so in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch

from jlrun.config import checked
from jlrun.engine import Engine
from jlrun.errors import UserError
from jlrun.models.lora import add_lora
from jlrun.objective.balance import OGMGE
from jlrun.objective.terms import L2, Orthogonal
from jlrun.objective.weightings import MGDA
from jlrun.objective.weightings.base import GradientOptions
from jlrun.ranks.world import ALONE, World
from jlrun.runs.job import Job
from jlrun.runs.settings import RunSettings
from jlrun.runs.sharding_checks import check_optimizer, check_plan, check_several
from jlrun.training.learner import build_learner
from jlrun.training.plan import Plan, Recipe
from jlrun.training.prepared import prepare_to_train
from tests.models.sharing.small import small_model
from tests.toy import CPU, toy_model, toy_phase, toy_recipe

TWO = World(0, 2)
SHARDED = Engine(CPU, world=TWO, parallel="fsdp")


def plan(recipe: Recipe) -> Plan:
    fit = SimpleNamespace(phases=[toy_phase(recipe=recipe)])
    return cast(Plan, SimpleNamespace(fits=[fit]))


def options(**given: str) -> GradientOptions:
    return GradientOptions(**given)  # pyright: ignore[reportArgumentType]


def test_what_fits_passes() -> None:
    check_plan(plan(toy_recipe(terms=lambda: {"l2": L2()})), SHARDED)
    features = replace(toy_recipe(MGDA), gradient_options=options(gradients="features"))
    check_plan(plan(features), SHARDED)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (
            toy_recipe(terms=lambda: {"o": Orthogonal()}),
            r"terms\.o: Orthogonal .* engine\.parallel=ddp",
        ),
        (
            replace(toy_recipe(MGDA), gradient_options=options(gradients="parameters")),
            r"weighting: MGDA compares gradients of parameters .* weighting\.gradients=features",
        ),
        (replace(toy_recipe(), make_balance=OGMGE), r"balance: OGMGE .* balance=none"),
    ],
)
def test_what_does_not_fit_says_so(recipe: Recipe, message: str) -> None:
    check_plan(plan(recipe), replace(SHARDED, parallel="ddp"))
    with pytest.raises(UserError, match=message):
        check_plan(plan(recipe), SHARDED)


def test_offload_needs_a_gpu() -> None:
    with pytest.raises(UserError, match=r"engine\.offload: .* computes on a CPU: leave it out"):
        check_plan(plan(toy_recipe()), replace(SHARDED, offload=True))


def test_optimizers_of_whole_parameters_are_refused() -> None:
    learner = build_learner(toy_model(), toy_phase(), SHARDED)
    check_optimizer(learner, SHARDED)
    other = replace(learner, optimizer=torch.optim.LBFGS(toy_model().parameters()))
    with pytest.raises(UserError, match="optimizer: LBFGS may need whole parameters"):
        check_optimizer(other, SHARDED)


def test_sharing_that_does_not_pass_one_trunk_is_refused() -> None:
    model = small_model("cross_stitch", {"x": "numbers"}, tasks=("sign", "largest"))
    with pytest.raises(UserError, match=r"engine\.parallel: .* CrossStitch does not do that"):
        prepare_to_train(model, SHARDED)


def test_adapters_are_refused() -> None:
    model = toy_model()
    add_lora(model, rank=2)
    with pytest.raises(UserError, match=r"engine\.parallel: LoRALinear .*finetune=lora"):
        prepare_to_train(model, SHARDED)


@pytest.mark.parametrize(
    ("overrides", "world", "message"),
    [
        ((), ALONE, "engine.parallel: fsdp shards the model over several processes"),
        (("diagnosis.every=5",), TWO, "diagnosis.every: measures gradients of parameters"),
        (("debug=profile",), TWO, "debug: a profile is of a whole model"),
    ],
)
def test_runs_that_are_refused(overrides: tuple[str, ...], world: World, message: str) -> None:
    config = checked(["mode=multitask", "engine.parallel=fsdp", *overrides]).config
    job = Job(RunSettings.parse(config), Path("run"), overrides)
    with pytest.raises(UserError, match=message):
        check_several(job, world)
    if world is ALONE:  # any number of processes goes on with a run
        check_several(replace(job, resumed=True), world)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("engine.offload=true",), "engine.offload: true .* set engine.parallel=fsdp"),
        (
            ("engine.parallel=fsdp", "engine.compile=true"),
            "engine.parallel: 'fsdp' does not go with .* engine.compile=false",
        ),
        (
            ("engine.parallel=fsdp", "engine.precision=fp16"),
            "engine.parallel: 'fsdp' has no loss scale, .* engine.precision=bf16",
        ),
        (
            ("engine.checkpoint_activations=true", "engine.compile=true"),
            "engine.checkpoint_activations: true does not go with .* engine.compile=false",
        ),
    ],
)
def test_settings_that_exclude_each_other(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        checked(["mode=multitask", *overrides])
