"""Diagnosis of a saved run: gradients and affinities of its tasks, on training batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from jlrun.data.sampling import All, joint_batches
from jlrun.engine import session_of
from jlrun.errors import UserError
from jlrun.files.run_directory import BEST, RunDirectory
from jlrun.models import checkpoints
from jlrun.objective.balance import NoBalance
from jlrun.objective.weightings import Equal
from jlrun.objective.weightings.base import GradientOptions
from jlrun.reporting.task_relations import read_relations, summarise
from jlrun.runs.assembly import assemble
from jlrun.runs.fingerprints import check_unchanged
from jlrun.runs.settings import RunSettings
from jlrun.seeding import derive_seed, seed_everything
from jlrun.training.diagnosis.gradients import shared_parameters
from jlrun.training.diagnosis.measure import Diagnosis, measure_gradients
from jlrun.training.learner import Learner, build_learner
from jlrun.training.plan import Fit, Phase

Checkpoint = Literal["best", "last"]
ALL = Diagnosis(every=1, gradients="parameters", affinity=True)


def diagnose(
    directory: Path,
    settings: RunSettings,
    checkpoint: Checkpoint,
    num_batches: int,
    lr: float | None,
    other_data: bool = False,
) -> dict[str, Any]:
    """Return what `summarise` does of the run's model, and the run's own mean affinities.

    The batches are those of the phase's first steps, with their augmentation, dropout and BatchNorm
    as in training; where there are several data sets, each has its batch in every step.

    Args:
        directory: the run.
        settings: of the run.
        checkpoint: whose weights: the selected ones, or those from which the run goes on.
        num_batches: at least 1.
        lr: of the step ahead; None: that of the config. The factor of a group of parameters counts
            in either case.
        other_data: whether other data than that of the run is meant.

    Raises:
        UserError: if the training data has changed.
        UserError: if there is no such checkpoint, only one task, or nothing that tasks share.
    """
    node = settings.engine
    with session_of(node):
        assembly = assemble(settings)
        if not other_data:
            fix = "name other data on purpose, as in dataset.root=…"
            check_unchanged(directory, assembly.fingerprint, fix=fix, kinds=("train",))
        fit = assembly.plan.fits[0]
        phase = _phase_of(fit, directory, checkpoint)
        _check_several_tasks(directory, phase)
        model = assembly.new_model(fit)
        checkpoints.load_model(RunDirectory(directory).checkpoints / checkpoint, model)
        recipe = replace(
            phase.recipe,
            make_weighting=Equal,
            terms={},
            gradient_options=GradientOptions(),
            make_balance=NoBalance,
        )
        learner = build_learner(model, replace(phase, recipe=recipe), assembly.engine)
        if not shared_parameters(model):
            raise UserError.of(
                str(directory), f"phase '{phase.name}' trains no parameters that its tasks share"
            )
        _set_lr(learner, lr)
        seed, number = settings.seed, phase.num_steps - 1
        order = derive_seed(seed, phase.name, "sampling")
        measurements = []
        for i, batches in enumerate(joint_batches(phase.train, All(), 0, num_batches, order)):
            seed_everything(seed, "diagnose", i)
            measured = measure_gradients(learner, phase, batches, assembly.engine, number, ALL)
            assert measured is not None
            measurements.append(measured)
    recorded = {r.phase: r for r in read_relations(RunDirectory(directory).metrics)}.get(phase.name)
    return {
        "checkpoint": checkpoint,
        "phase": phase.name,
        "batches": len(measurements),
        "lr": max(float(group["lr"]) for group in learner.optimizer.param_groups),
        **summarise(measurements),
        "affinity_in_training": (recorded.affinity or None) if recorded else None,
    }


def _phase_of(fit: Fit, directory: Path, checkpoint: Checkpoint) -> Phase:
    """Return the phase that the weights of the checkpoint come from."""
    if checkpoint == BEST:
        return fit.phases[-1]
    completed = checkpoints.load_state(RunDirectory(directory).checkpoints / checkpoint)[
        "completed"
    ]
    return fit.phases[min(completed["phases"], len(fit.phases) - 1)]


def _check_several_tasks(directory: Path, phase: Phase) -> None:
    if len(phase.objectives) < 2:
        labels = [f"one task, '{objective.label}'" for objective in phase.objectives]
        raise UserError.of(
            str(directory),
            f"phase '{phase.name}' learns {', '.join(labels) or 'no task'}: there is no other to "
            "compare it with",
        )


def _set_lr(learner: Learner, lr: float | None) -> None:
    learner.set_lr(1.0)
    if lr is not None:
        for group in learner.optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
