"""Checks of a run whose model is to be sharded, before anything is written."""

from __future__ import annotations

from torch.optim import ASGD, Adadelta, Adamax, NAdam, RAdam, Rprop

from jlrun.engine import Engine
from jlrun.errors import UserError
from jlrun.ranks.world import World
from jlrun.runs.job import Job
from jlrun.training.learner import Learner
from jlrun.training.plan import Plan
from jlrun.training.prepared import KEY
from jlrun.training.sharded_fitness import check_phase
from jlrun.training.stacked.optimizer import ELEMENTWISE

_FITTING = (*ELEMENTWISE, Adadelta, Adamax, ASGD, NAdam, RAdam, Rprop)


def check_several(job: Job, world: World) -> None:
    """Check that several ranks begin a run that is to be sharded; any number goes on with it.

    Raises:
        UserError: if one process begins it, or it asks for what looks at the whole model.
    """
    if job.settings.engine.parallel != "fsdp":
        return
    if not world.several and not job.resumed:
        start = "torchrun --nproc-per-node=2 -m jlrun …"
        raise UserError.of(
            KEY, f"fsdp shards the model over several processes, and this is one: use {start}"
        )
    if not world.several:
        return
    if job.settings.diagnosis.every is not None:
        why = "measures gradients of parameters, of which a rank has a part"
        raise UserError.of("diagnosis.every", f"{why}: use diagnosis.every=null, or {KEY}=ddp")
    if job.settings.debug == "profile":
        raise UserError.of("debug", f"a profile is of a whole model: use {KEY}=ddp")


def check_plan(plan: Plan, engine: Engine) -> None:
    """Check that every phase can train shards.

    Raises:
        UserError: for the first that can't.
    """
    if not engine.sharded:
        return
    if engine.offload and engine.device.type == "cpu":
        why = "keeps shards on the CPU while a GPU computes, and this run computes on a CPU"
        raise UserError.of("engine.offload", f"{why}: leave it out")
    for fit in plan.fits:
        for phase in fit.phases:
            check_phase(phase)


def check_optimizer(learner: Learner, engine: Engine) -> None:
    """Check that the optimizer updates each element by itself.

    Raises:
        UserError: if not.
    """
    kind = type(learner.optimizer)
    if engine.sharded and kind not in _FITTING:
        known = ", ".join(each.__name__ for each in _FITTING)
        why = f"{kind.__name__} may need whole parameters, of which a rank has a part"
        raise UserError.of("optimizer", f"{why}: use one of {known}, or {KEY}=ddp")
