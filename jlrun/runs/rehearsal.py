"""Rehearsal of a run: what is wrong with it shows before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jlrun.config.chosen_options import option_name
from jlrun.config.groups import GROUPS
from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.streams import Stream
from jlrun.engine import Engine, describe_device
from jlrun.errors import UserError
from jlrun.objective.terms import Term
from jlrun.runs.assembly import Assembly
from jlrun.runs.job import Job
from jlrun.runs.sharding_checks import check_optimizer, check_plan
from jlrun.tasks.objective import Objective
from jlrun.training.learner import build_learner, count_trainable
from jlrun.training.plan import Fit, Phase, Plan
from jlrun.training.recorder import Header, PlannedFit, PlannedPhase

_LACKING = {
    "learned weights": "it is about weights that were learned before, by a source (mode=transfer), "
    "source.run, source.weights, backbone weights or a self-supervised term",
    "target": "it brings sources and a target together, as in strategy=adapt or strategy=joint",
    "several sources": "it compares several sources, as in strategy=generalize sources=[a,b]",
    "views": "it learns from augmented views, which no phase has",
    "several modalities": "it brings modalities together, and the model takes one alone; choose "
    "several, such as modalities=[image,text]",
}

# Strategies that choose more than an epoch by validation rows.
_SELECTING = ("adapt", "generalize", "zero_shot")


def rehearse(job: Job, assembly: Assembly) -> Header:
    """Build what every phase of the main fit needs once; nothing is trained, no data swept.

    Raises:
        UserError: if a part of the config does not suit the model, or would do nothing.
    """
    fit = assembly.plan.fits[0]
    check_plan(assembly.plan, assembly.engine)
    check_selection(job.settings.strategy.name, assembly)
    model = assembly.new_model(fit)
    objectives = [objective for phase in fit.phases for objective in phase.objectives]
    known = {name for o in objectives for name in (o.spec.name, o.label)}
    for phase in fit.phases:
        assert phase.num_steps > 0
        learner = build_learner(model, phase, assembly.engine, rehearsal=True)
        check_optimizer(learner, assembly.engine)
        learner.weighting.check(known)
        phase.recipe.gradient_options.check(learner.weighting)
        for term in learner.terms.values():
            assert isinstance(term, Term)
            term.check(model)
    _check_terms_act(fit)
    return Header(
        run_dir=job.directory,
        mode=job.settings.strategy.mode,
        device=_devices(assembly.engine),
        parameters=model.num_parameters(),
        trainable=max(count_trainable(model, phase) for phase in fit.phases),
        data={streams.name: _sizes(streams, fit) for streams in assembly.labelled},
        changed=changed_settings(job.overrides),
        settings=compared_settings(job.settings.config),
        resumed=job.resumed,
        fits=[_planned(each) for each in assembly.plan.fits if not _is_done(job, each)],
    )


def _sizes(streams: LabelledStreams, fit: Fit) -> dict[str, int]:
    """Return split -> rows of a data set, and of ``unlabelled`` where a fit learns from more."""
    sizes = {name: len(getattr(streams, name).rows) for name in ("train", "val", "test")}
    used = [len(p.train[streams.name].rows) for p in fit.phases if streams.name in p.train]
    if max(used, default=0) > sizes["train"]:
        return {"train": sizes.pop("train"), "unlabelled": max(used), **sizes}
    return sizes


def _devices(engine: Engine) -> str:
    device, world = describe_device(engine.device), engine.world
    return f"{world.size} ranks, each {device}" if world.several else device


def _planned(fit: Fit) -> PlannedFit:
    phases = (PlannedPhase(p.name, p.epochs, p.num_steps) for p in fit.phases)
    return PlannedFit(fit.name, tuple(phases))


def _is_done(job: Job, fit: Fit) -> bool:
    return job.resumed and job.folder(fit.name).result() is not None


def check_selection(strategy: str | None, assembly: Assembly) -> None:
    """Check that what is selected on validation rows has some.

    Raises:
        UserError: for the first that has none.
    """
    empty = [each.name for each in assembly.labelled if not len(each.val.rows)]
    if not empty:
        return
    where = f"{empty[0]}.val_fraction"
    why = f"there are no validation rows ({where}=0)"
    if strategy in _SELECTING:
        fix = f"strategy={strategy} selects by them: use a fraction above 0"
        raise UserError.of(where, f"{why}; {fix}")
    for fit in assembly.plan.fits:
        if any(_waits_in_vain(phase) for phase in fit.phases):
            fix = "training ends after all epochs: use patience=null, or a fraction above 0"
            raise UserError.of("patience", f"{why}; {fix}")
        if fit.interpolated is not None and not _rows_of(fit.scored, assembly.plan.val):
            fix = "it selects by them: use wise_ft=false, or a fraction above 0"
            raise UserError.of("finetune.wise_ft", f"{why}; {fix}")


def _waits_in_vain(phase: Phase) -> bool:
    """Return whether a phase has patience, and no validation row to wait for."""
    waits = phase.recipe.patience is not None and bool(phase.selection)
    return waits and not _rows_of(phase.selection, phase.val)


def _rows_of(objectives: Sequence[Objective], streams: Mapping[str, Stream]) -> int:
    return sum(len(streams[objective.stream].rows) for objective in objectives)


def _check_terms_act(fit: Fit) -> None:
    """Check that every term acts in some phase of the main fit."""
    offered = frozenset().union(*(phase.offers for phase in fit.phases))
    for name, term in fit.phases[-1].recipe.terms.items():
        if not term.acts_in(offered):
            why = _LACKING[str(term.kind.needs)]
            raise UserError.of(f"terms.{name}", f"would do nothing in this run: {why}")


def compared_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what runs are compared by: numbers, and names of options as people type them."""
    plain = ("mode", "strategy", "seed", "epochs", "batch_size", "lambda_")
    groups = (group for group in GROUPS if group.slot and not group.many)
    nodes = {key: (group.name, config[key]) for group in groups for key in group.keys}
    options = {
        key: option_name(group, node)
        for key, (group, node) in nodes.items()
        if node and "_target_" in node  # neither several data sets nor a source of weights
    }
    chosen = {name: config[name] for name in plain}
    return {**chosen, **options, "optimizer.lr": config["optimizer"].get("lr")}


def changed_settings(overrides: Sequence[str]) -> dict[str, str]:
    """Return config path -> value of what the user set, the mode and Hydra's own node left out."""
    pairs = (override.split("=", 1) for override in overrides if "=" in override)
    changed = {key.lstrip("+~"): value for key, value in pairs}
    return {k: v for k, v in changed.items() if k != "mode" and not k.startswith("hydra.")}


def fitted_batches(plan: Plan, own: bool) -> list[str]:
    """Return a line on each data set that has fewer training rows than a batch.

    Args:
        plan: of the run, with all baselines.
        own: whether the user chose the batch size, which is then refused instead.

    Raises:
        UserError: if the user's choice does not fit.
    """
    smaller, size = dict[str, int](), 0
    for stream in (s for fit in plan.fits for phase in fit.phases for s in phase.train.values()):
        rows = len(stream.rows)
        if rows < stream.batch_size:
            smaller[stream.name] = min(rows, smaller.get(stream.name, rows))
            size = stream.batch_size
    if own and smaller:
        raise UserError.of("batch_size", _refusal(size, smaller))
    return [
        f"{name}: {rows} training rows are fewer than batch_size={size}: each step takes all of "
        "them"
        for name, rows in smaller.items()
    ]


def _refusal(size: int, smaller: Mapping[str, int]) -> str:
    each = " and ".join(f"the {rows} training rows of '{name}'" for name, rows in smaller.items())
    return f"{size} is more than {each}; choose batch_size={min(smaller.values())} or less"
