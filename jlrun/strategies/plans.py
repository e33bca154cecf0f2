"""Plan of a run, from its settings: what its strategy trains, and the phases before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jlrun.config.build import build
from jlrun.config.sections import AdaptSettings, PretrainingSettings, ZeroShotSettings
from jlrun.config.slots import FINETUNING, SAMPLING, VALIDATOR, ZERO_SHOT_METHOD
from jlrun.config.value_types import Mode, Strategy
from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.streams import Stream
from jlrun.errors import UserError, did_you_mean
from jlrun.evaluation.retrieval import Retrieval
from jlrun.evaluation.validators import SourceAccuracy, Validator
from jlrun.objective.terms.self_supervised.rows import sample_row
from jlrun.strategies import multimodal, multitask, transfer
from jlrun.strategies.plan_parts import Begin, PlanContext
from jlrun.strategies.pretraining import between_modalities, only_pretraining, with_pretraining
from jlrun.strategies.zero_shot.classes import unseen_classes
from jlrun.strategies.zero_shot.holdout import check_leakage
from jlrun.strategies.zero_shot.plan import ZeroShot, plan_zero_shot
from jlrun.training.plan import Fit, Phase, Plan

# Needs of terms that learn from inputs alone, in a separate phase.
PRETRAINING = frozenset({"views", "several modalities"})
Node = Mapping[str, Any]


@dataclass(frozen=True)
class StrategySettings:
    """Settings of what trains in which order.

    Attributes:
        mode: of the run.
        name: strategy of a transfer; None in other modes.
        epochs: of the main phase.
        baselines: whether baselines are trained.
        pretraining: phase of terms that learn from inputs alone.
        retrieval: how shared spaces are scored in it.
        tasks: those asked for; None: all.
        sampling: node; None: each step takes a batch from every data set.
        target_scale: λ of the target in joint transfer.
        source_weights: source -> factor of its losses.
        finetune, pretrain_epochs, validator, adapt, zero_shot: in the strategies that have them.
        learned_elsewhere: config path and value of whatever brings in what others have learned.
    """

    mode: Mode
    name: Strategy | None
    epochs: int
    baselines: bool
    pretraining: PretrainingSettings
    retrieval: Retrieval
    tasks: tuple[str, ...] | None
    sampling: Node | None
    target_scale: float
    source_weights: Mapping[str, float]
    finetune: Node | None
    pretrain_epochs: int | None
    validator: Node | None
    adapt: AdaptSettings | None
    zero_shot: ZeroShotSettings | None
    learned_elsewhere: tuple[tuple[str, str], ...]


def make_plan(
    settings: StrategySettings,
    labelled: tuple[LabelledStreams, ...],
    context: PlanContext,
    start: Begin | None,
    unlabelled: Callable[[str], Stream],
) -> Plan:
    """Return the plan of a run.

    Args:
        settings: what to train.
        labelled: the data sets in use.
        context: collaborators.
        start: weights from elsewhere, which the main model begins with.
        unlabelled: name of a data set -> stream of all its training rows.

    Raises:
        UserError: if the data does not have what the strategy needs.
    """
    plan = with_held_out(_of_mode(settings, labelled, context, start), context.held_out)
    if context.needs & PRETRAINING:
        return _with_terms_of_inputs(settings, plan, labelled, context, unlabelled)
    if settings.pretraining.only:
        message = "there is no pretraining: name what learns from inputs, such as terms=[clip]"
        raise UserError.of("pretraining.only", message)
    return plan


def _of_mode(
    settings: StrategySettings,
    labelled: tuple[LabelledStreams, ...],
    context: PlanContext,
    start: Begin | None,
) -> Plan:
    match settings.mode:
        case "multitask":
            node = settings.sampling
            sampling = None if node is None else build(node, SAMPLING)
            return multitask.plan(labelled, context, sampling)
        case "multimodal":
            return multimodal.plan(labelled[0], context)
        case "transfer":
            return _of_transfer(settings, labelled, context, start)


def _of_transfer(
    settings: StrategySettings,
    labelled: tuple[LabelledStreams, ...],
    context: PlanContext,
    start: Begin | None,
) -> Plan:
    sources = tuple(streams for streams in labelled if streams.name != "target")
    (target,) = (streams for streams in labelled if streams.name == "target")
    domains = transfer.Domains(sources, target, settings.source_weights)
    match settings.name:
        case "joint":
            return transfer.plan_joint(domains, settings.target_scale, context, start)
        case "adapt":
            assert settings.validator is not None
            adaptation = _adaptation(settings, build(settings.validator, VALIDATOR))
            return transfer.plan_adapt(domains, adaptation, context, start)
        case "generalize":
            adaptation = _adaptation(settings, SourceAccuracy())
            return transfer.plan_generalize(domains, adaptation, context, start)
        case "zero_shot":
            return plan_zero_shot(*_zero_shot(settings, target), context, start)
        case _:
            assert settings.finetune is not None
            assert settings.pretrain_epochs is not None
            finetuning = build(settings.finetune, FINETUNING)
            return transfer.plan_finetune(
                domains, finetuning, context, pretrain_epochs=settings.pretrain_epochs, start=start
            )


def _adaptation(settings: StrategySettings, validator: Validator) -> transfer.Adaptation:
    assert settings.adapt is not None
    assert settings.pretrain_epochs is not None
    return transfer.Adaptation(
        validator=validator,
        pretrain_epochs=settings.pretrain_epochs,
        joined=settings.adapt.batch_norm == "joint",
        oracle=settings.adapt.oracle,
        leave_one_out=settings.adapt.leave_one_out,
    )


def _zero_shot(
    settings: StrategySettings, target: LabelledStreams
) -> tuple[LabelledStreams, ZeroShot]:
    """Return the target with its main task, unless others were asked for, and what is unseen."""
    zero_shot = settings.zero_shot
    assert zero_shot is not None
    if settings.tasks is None:
        target = replace(target, tasks=target.tasks[:1])
    split, vectors = unseen_classes(zero_shot, target.tasks[0].classes)
    for where, path in settings.learned_elsewhere:
        check_leakage(Path(path), split, where)
    method = build(zero_shot.method, ZERO_SHOT_METHOD)
    return target, ZeroShot(split, method, vectors, zero_shot.calibration)


def _with_terms_of_inputs(
    settings: StrategySettings,
    plan: Plan,
    labelled: Sequence[LabelledStreams],
    context: PlanContext,
    unlabelled: Callable[[str], Stream],
) -> Plan:
    """Return the plan with terms that learn from inputs in a phase before it, or in all of it."""
    pretraining, options = settings.pretraining, settings.retrieval
    if pretraining.epochs == 0:
        return between_modalities(plan) if "several modalities" in context.needs else plan
    chosen = _pretrained_on(pretraining.data, labelled)
    streams = {each.name: unlabelled(each.name) for each in chosen}
    for each in chosen:
        options.check(sample_row(each.train))
    longer = with_pretraining(
        plan, chosen, streams, pretraining.epochs, context.recipe, retrieval=options
    )
    return only_pretraining(longer) if pretraining.only else longer


def _pretrained_on(
    asked: Sequence[str] | None, labelled: Sequence[LabelledStreams]
) -> tuple[LabelledStreams, ...]:
    """Return the data sets that terms learn from: those asked for, or all."""
    names = [streams.name.rpartition(".")[2] for streams in labelled]
    for name in asked or ():
        if name not in names:
            hint = did_you_mean(name, names)
            raise UserError.of("pretraining.data", f"the run has no data set '{name}'.{hint}")
    chosen = names if asked is None else asked
    return tuple(streams for streams, name in zip(labelled, names, strict=True) if name in chosen)


def with_held_out(plan: Plan, share: float) -> Plan:
    """Return ``plan`` with a share of the training rows of every labelled stream held out.

    For a balance to measure, in all fits of several modalities; others have nothing to balance. 0
    holds nothing out.
    """
    if share == 0:
        return plan
    return replace(plan, fits=tuple(_divided(fit, share) for fit in plan.fits))


def _divided(fit: Fit, share: float) -> Fit:
    if len(fit.modalities) < 2:
        return fit
    return replace(fit, phases=tuple(_without_held(phase, share) for phase in fit.phases))


def _without_held(phase: Phase, share: float) -> Phase:
    names = dict.fromkeys(objective.stream for objective in phase.objectives)
    divided = {name: phase.train[name].divide(share) for name in names}
    rest = {name: streams[0] for name, streams in divided.items()}
    held = {name: streams[1] for name, streams in divided.items()}
    return replace(phase, train={**phase.train, **rest}, held=held)
