"""Cases that two and three ranks do as one process does: steps of every kind, and whole fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import torch

from jlrun.data.batch import Batch
from jlrun.data.streams import Stream
from jlrun.engine import Engine
from jlrun.models.encoders import MLP
from jlrun.models.fusions import Single
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.models.sharing import Hard
from jlrun.models.trunk import Trunk
from jlrun.objective.terms.transfer.teacher import Teacher
from jlrun.objective.weightings.base import GradientOptions
from jlrun.ranks.world import World
from jlrun.runs import saved_model
from jlrun.seeding import seed_everything
from jlrun.training import fit as fitting
from jlrun.training.fit import FitRun
from jlrun.training.fit_folder import FitFolder
from jlrun.training.learner import Learner, build_learner
from jlrun.training.plan import Fit, Phase, Plan
from jlrun.training.step import train_step
from tests.models.fusions.test_battery import make as make_fusion
from tests.models.sharing.small import small_model
from tests.objective.balance import small as balanced
from tests.objective.weightings.test_battery import made
from tests.toy import (
    CPU,
    TASKS,
    hard_model,
    toy_batch,
    toy_model,
    toy_objectives,
    toy_phase,
    toy_recipe,
    toy_rows,
    toy_stream,
    toy_surroundings,
)
from tests.training.test_resumed_terms import DIGIT, SPEC, Numbers, model_of, plan_for

STEPS = 20
FEWER = 7  # where nothing adds up over steps but what weightings do, too
# Rows of the steps, in turn: they don't divide by two or three, and some are fewer than ranks.
COUNTS = (8, 7, 5, 3, 1, 9, 7)

Found = dict[str, Any]


def double(batch: Batch) -> Batch:
    """Return a batch of float64, in which rounding is far below what is compared."""
    return replace(batch, inputs={name: x.double() for name, x in batch.inputs.items()})


def batches(
    make: Callable[[int, int], Batch] = toy_batch, count: int = STEPS, exact: bool = True
) -> Iterator[Batch]:
    """Yield a batch for each step; labels of `largest` lack in all of the last rows, or in all."""
    for number in range(count):
        batch = make(COUNTS[number % len(COUNTS)], number)
        if number % 3 == 1:  # of which ranks but the first have none
            mask = torch.arange(batch.size) < 2
            batch = replace(batch, labelled={"largest": mask & (number % 2 == 0)})
        yield double(batch) if exact else batch


def steps(
    world: World,
    model: JointModel,
    phase: Phase,
    given: Sequence[Mapping[str, Batch]],
    **engine: Any,
) -> Found:
    """Return parameters, state and measurements after a step on each of the batches."""
    where = Engine(CPU, world=world, **engine)
    torch.manual_seed(1)
    learner = build_learner(model, phase, where)
    measured = []
    for number, each in enumerate(given):
        learner.set_lr(0.2)
        seed_everything(0, "train", number)
        stats = train_step(learner, phase, each, where, number % phase.num_steps)
        measured.append(torch.cat([stats.packed.double(), torch.tensor(stats.labelled).double()]))
        if number % 5 == 4:
            learner.weighting.end_epoch()
    return {"measured": measured, **state_of(learner), "random": torch.rand(3)}


def state_of(learner: Learner) -> Found:
    state = learner.state_dict()
    return {"model": dict(learner.model.state_dict()), **state}


def weighting(world: World, name: str, options: Mapping[str, Any], engine: dict[str, Any]) -> Found:
    """Train two tasks of BatchNorm and dropout by a weighting."""
    recipe = replace(
        toy_recipe(lambda tasks: made(name, tasks)), gradient_options=GradientOptions(**options)
    )
    given = [{"dataset": batch} for batch in batches()]
    return steps(world, toy_model().double(), toy_phase(recipe=recipe), given, **engine)


def balance(world: World, option: str, fusion: str) -> Found:
    """Train two modalities, both absent in some rows, by a balance."""
    phase = balanced.phase(option)
    given = [{"dataset": batch} for batch in batches(balanced.batch, FEWER, exact=False)]
    return steps(world, balanced.model(fusion, dropout=0.2), phase, given)


def teacher(directory: Path, device: torch.device) -> Teacher:
    """Return a model of its own width, whatever run is named."""
    torch.manual_seed(1)
    model = hard_model(
        {"image": MLP(SPEC, hidden=[5])}, Single({"image": 5}), {"digit": Linear(5, 3)}
    )
    return Teacher(model.eval().requires_grad_(False), {"image": SPEC}, {"digit": DIGIT})


def whole(
    world: World,
    fit: Fit,
    model: JointModel,
    val: Mapping[str, Stream],
    test: Mapping[str, Stream],
    **engine: Any,
) -> Found:
    """Train and score a fit, from its first phase to `fit.json`."""
    learners = list[Learner]()

    def keep(*arguments: Any) -> Learner:
        learners.append(build_learner(*arguments))
        return learners[-1]

    recorder = Numbers()
    context = toy_surroundings(engine=Engine(CPU, world=world, **engine), recorder=recorder)
    with (
        TemporaryDirectory() as folder,
        mock.patch.object(fitting, "build_learner", keep),
        mock.patch.object(saved_model, "load_teacher", teacher),
    ):
        run = FitRun(fit, model, FitFolder(Path(folder), 1e9), context)
        result = asdict(run.run(val, test))
        assert any(Path(folder).iterdir()) is world.is_first, "rank 0 alone writes"
    del result["seconds"]
    return {
        "result": result,
        "values": recorder.values,
        "model": dict(run.model.state_dict()),
        "learners": [learner.state_dict() for learner in learners],
        "random": torch.rand(3),
    }


def plan(world: World, made: Plan) -> Found:
    """Train and score the main fit of a plan."""
    fit = made.fits[0]
    for stream in (*made.val.values(), *made.test.values()):
        stream.batch_size = len(stream.rows)  # one exchange each
    return whole(world, fit, model_of(fit), made.val, made.test)


def term(world: World, option: str, beside: bool = True) -> Found:
    """Train by a plan in which a term acts."""
    return plan(world, plan_for(option, beside))


def sharing(world: World, option: str, weight: str) -> Found:
    """Train tasks that share a model in a certain way."""
    recipe = toy_recipe(lambda tasks: made(weight, tasks))
    given = [{"dataset": batch} for batch in batches(count=FEWER, exact=False)]
    model = small_model(option, {"x": "numbers"}, tasks=("sign", "largest"))
    return steps(world, model, toy_phase(recipe=recipe), given)


def fusion(world: World, option: str, form: str) -> Found:
    """Train modalities, each absent in some rows, that are fused in a certain way."""
    phase, given = balanced.phase("none"), list(batches(balanced.batch, FEWER, exact=False))
    torch.manual_seed(0)
    encoders = {"x": balanced.SmoothEncoder(6, 0.2), "y": balanced.SmoothEncoder(5, 0.2)}
    fused = make_fusion(option, {"x": 6, "y": 5})
    body = Hard(lambda: Trunk(encoders, fused, pooled=form == "features"), ("sign", "largest"))
    heads = {s.name: body.build_head(lambda w, s=s: Linear(w, s.num_outputs)) for s in TASKS}
    return steps(world, JointModel(body, heads), phase, [{"dataset": b} for b in given])


def modalities(world: World, changes: Mapping[str, Any], engine: Mapping[str, Any]) -> Found:
    """Train two modalities and score them, with changes of the recipe or of the engine."""
    phase = balanced.phase("none", recipe=changes)
    objectives = phase.objectives
    heads = {objective.head: objective.spec for objective in objectives}
    fit = Fit("main", balanced.MODALITIES, heads, (phase,), objectives)
    test = {"dataset": balanced.stream(21, seed=5)}  # batches that the ranks can't share evenly
    model = balanced.model(dropout=0.2)
    return whole(world, fit, model, phase.val, test, **engine)


def data_sets(world: World, name: str) -> Found:
    """Train a task of each of two data sets, of which one has few rows, by a weighting."""
    first, second = toy_objectives("a")[0], toy_objectives("b")[1]
    few = toy_stream("b", toy_rows(11, seed=3), batch=5)
    phase = replace(
        toy_phase(recipe=toy_recipe(lambda tasks: made(name, tasks))),
        train={"a": toy_stream("a", batch=7), "b": few},
        val={"a": toy_stream("a", toy_rows(seed=1)), "b": toy_stream("b", toy_rows(9, seed=2))},
        objectives=(first, second),
        selection=(first, second),
    )
    heads = {objective.head: objective.spec for objective in phase.objectives}
    fit = Fit("main", ("x",), heads, (phase,), phase.objectives)
    return whole(world, fit, toy_model(), phase.val, phase.val)
