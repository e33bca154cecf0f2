"""Cases in which each rank has a shard of the model (FSDP2), and one process all of it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

# What the cases import is imported before processes are forked.
import torch
import torch.distributed.checkpoint
import torch.distributed.fsdp

from jlrun.data.batch import Batch
from jlrun.data.specs import ImageSpec
from jlrun.engine import Engine
from jlrun.errors import Interrupted, UserError
from jlrun.models.encoders import CNN, MLP, ViT
from jlrun.models.encoders.base import Encoder
from jlrun.models.fusions import Single
from jlrun.models.heads import Linear
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.base import PhaseStart, StepView, Term
from jlrun.objective.weightings.base import GradientOptions
from jlrun.ranks.shards import is_shard, whole
from jlrun.ranks.world import World
from jlrun.seeding import seed_everything
from jlrun.training.fit import FitRun
from jlrun.training.fit_folder import FitFolder
from jlrun.training.learner import build_learner
from jlrun.training.plan import Phase, TermMaker
from jlrun.training.prepared import prepare_to_train
from jlrun.training.step import train_step
from tests.objective.balance import small as balanced
from tests.objective.weightings.test_battery import made
from tests.ranks.cases import Found, batches, state_of
from tests.toy import CPU, TASKS, StopAt, hard_model, never, toy_phase, toy_recipe, toy_surroundings
from tests.training.test_resumed_terms import Numbers, model_of, plan_for

STEPS = 8
SPEC = ImageSpec(1, 8, 8, (0.5,), (0.5,))


def _sharded(world: World, **engine: Any) -> Engine:
    return Engine(CPU, world=world, parallel="fsdp", **engine)


def _steps(
    world: World, model: JointModel, phase: Phase, given: list[Batch], **engine: Any
) -> Found:
    """Return parameters, state and measurements after a step on each of the batches."""
    where = _sharded(world, **engine)
    torch.manual_seed(1)
    model = prepare_to_train(model, where)
    learner = build_learner(model, phase, where)
    assert any(map(is_shard, learner.parameters)) is world.several
    measured = []
    for number, batch in enumerate(given):
        learner.set_lr(0.2)
        seed_everything(0, "train", number)
        stats = train_step(learner, phase, {"dataset": batch}, where, number % phase.num_steps)
        measured.append(stats.packed.double())
    return {"measured": measured, **whole(state_of(learner)), "random": torch.rand(3)}


def images(count: int, seed: int) -> Batch:
    x = torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed)).double()
    mean = x.mean(dim=(1, 2, 3))
    return Batch(
        {"image": x}, {"sign": (mean > 0).long(), "largest": x.flatten(1)[:, :4].argmax(1)}
    )


def encoder(kind: str) -> Encoder:
    torch.manual_seed(0)
    match kind:
        case "mlp":
            return MLP(SPEC, hidden=[9, 7], dropout=0.2)
        case "cnn":
            return CNN(SPEC, channels=[3, 5], hidden=7, dropout=0.2, batch_norm=True)
        case _:
            return ViT(SPEC, patch=4, width=6, depth=2, heads=2, dropout=0.0)


def weighting(
    world: World, kind: str, name: str, options: Mapping[str, Any], engine: dict[str, Any]
) -> Found:
    """Train two tasks of images by a weighting."""
    recipe = replace(
        toy_recipe(lambda tasks: made(name, tasks)), gradient_options=GradientOptions(**options)
    )
    found = encoder(kind)
    width = found.out_features
    heads = {spec.name: Linear(width, spec.num_outputs) for spec in TASKS}
    model = hard_model({"image": found}, Single({"image": width}), heads).double()
    given = list(batches(images))[:STEPS]
    return _steps(world, model, toy_phase(recipe=recipe), given, **engine)


def precision(world: World, recompute: bool) -> Found:
    """Train blocks that are gathered in bfloat16; parameters stay in float32."""
    recipe = toy_recipe()
    found = encoder("vit")
    heads = {spec.name: Linear(6, spec.num_outputs) for spec in TASKS}
    model = hard_model({"image": found}, Single({"image": 6}), heads)
    given = [
        replace(b, inputs={"image": b.inputs["image"].float()}) for b in list(batches(images))[:3]
    ]
    where = {"precision": "bf16", "recompute": recompute}
    return _steps(world, model, toy_phase(recipe=recipe), given, **where)["model"]


class Copying(Term):
    """A user's term that copies the model."""

    def begin_phase(self, start: PhaseStart) -> None:
        self.kept = deepcopy(start.model)

    def forward(self, view: StepView) -> torch.Tensor:
        return torch.zeros(())


def copying(world: World) -> str:
    """Return what a phase with a term that copies the model is refused by."""
    recipe = replace(toy_recipe(), terms={"mine": TermMaker(Copying, Copying)})
    engine = _sharded(world)
    model = prepare_to_train(balanced.model("concat"), engine)
    try:
        build_learner(model, replace(balanced.phase("none"), recipe=recipe), engine)
    except UserError as error:
        return str(error)
    return ""


def lacking(world: World) -> Found:
    """Train and score two modalities, each absent in some rows."""
    phase, given = balanced.phase("none"), list(batches(balanced.batch, exact=False))
    return _steps(world, balanced.model("concat"), phase, given)


def term(world: World, option: str, folder: Path, stop_at: int | None = None) -> Found:
    """Train and score the main fit of a plan in which a term acts, from where it was stopped."""
    fit, numbers = (plan := plan_for(option)).fits[0], Numbers()
    engine = _sharded(world)
    stopped = never if stop_at is None else StopAt(stop_at)
    context = toy_surroundings(stopped, engine=engine, recorder=numbers)
    run = FitRun(fit, prepare_to_train(model_of(fit), engine), FitFolder(folder, 0.0), context)
    try:
        result = asdict(run.run(plan.val, plan.test))
    except Interrupted:
        return {}
    del result["seconds"]
    return {"result": result, "model": whole(dict(run.model.state_dict()))}
