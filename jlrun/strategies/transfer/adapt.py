"""Labelled sources and a target without labels, in one phase; or a target that is not seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from jlrun.errors import UserError
from jlrun.evaluation.scores import SplitScores
from jlrun.evaluation.selectors import ByValidator, SelectByValidation, Selector
from jlrun.evaluation.validators import Validator
from jlrun.strategies.gain import relative_gain
from jlrun.strategies.plan_context import Begin, PlanContext, one_after_the_other
from jlrun.strategies.transfer.baselines import (
    INDEPENDENT_OF,
    SOURCE_ONLY,
    TARGET_SUPERVISED,
    on_target_alone,
)
from jlrun.strategies.transfer.domains import Domains
from jlrun.strategies.transfer.leave_one_out import WHERE as LEAVE_ONE_OUT
from jlrun.strategies.transfer.leave_one_out import left_out_fits, left_out_streams, with_left_out
from jlrun.training.plan import Comparison, Fit, Phase, Plan
from jlrun.training.recorder import MAIN_FIT


@dataclass(frozen=True)
class Adaptation:
    """Settings of domain adaptation.

    Attributes:
        validator: scores the model without labels of the target; it selects the checkpoint.
        pretrain_epochs: passes over the sources before; may be 0.
        joined: whether source and target batches pass through the model as one.
        oracle: whether the test score of every epoch is recorded, to report what selection with
            labels of the target would have given.
        leave_one_out: whether each source is left out once and scored on, in generalisation.
    """

    validator: Validator
    pretrain_epochs: int
    joined: bool
    oracle: bool
    leave_one_out: bool = False


def plan_adapt(
    domains: Domains, adaptation: Adaptation, context: PlanContext, start: Begin | None = None
) -> Plan:
    """Return the plan of domain adaptation.

    No label of the target is used but to report scores. The baselines are the sources alone, with
    the same epochs, selected by their own validation rows, and, as an upper bound, the target with
    all its labels, if it has any.

    Raises:
        UserError: if no task of the target is one of a source, or a source is to be left out.
    """
    if adaptation.leave_one_out:
        raise UserError.of(LEAVE_ONE_OUT, "true is for strategy=generalize; set it to false")
    if not domains.shared():
        raise UserError.of(
            "target.tasks",
            "no source has a task of the same name and classes, which adaptation needs",
        )
    target = domains.target
    selector = ByValidator(adaptation.validator, domains.sources, target, domains.shared())
    phases = _phases(domains, adaptation, context, start, selector, seen=True)
    main = _main(domains, phases, context, start)
    fits = (main, *_baselines(domains, phases, context, start)) if context.baselines else (main,)
    return _plan(domains, fits)


def plan_generalize(
    domains: Domains, adaptation: Adaptation, context: PlanContext, start: Begin | None = None
) -> Plan:
    """Return the plan of domain generalisation: the target is not seen before the test.

    The checkpoint is selected by the mean score on validation rows of the sources
    ("training-domain validation" of Gulrajani & Lopez-Paz, "In Search of Lost Domain
    Generalization", ICLR 2021). The baselines are those of `plan_adapt`: sources alone is empirical
    risk minimisation, without the terms and the weighting that are being tried. With
    ``leave_one_out``, what sweeps compare is the mean score on a source that was left out.

    Raises:
        UserError: if no task of the target is one of a source, or sources can't be left out.
    """
    if not domains.shared():
        raise UserError.of(
            "target.tasks",
            "no source has a task of the same name and classes, which generalisation needs",
        )
    phases = _phases(domains, adaptation, context, start, SelectByValidation(), seen=False)
    main = _main(domains, phases, context, start)
    fits = (main, *_baselines(domains, phases, context, start)) if context.baselines else (main,)
    plan = _plan(domains, fits)
    return _also_leaving_out(domains, plan, context) if adaptation.leave_one_out else plan


def _also_leaving_out(domains: Domains, plan: Plan, context: PlanContext) -> Plan:
    left_out = left_out_fits(domains, plan.fits[0], context)

    def compare(scores: Mapping[str, SplitScores]) -> Comparison:
        others = {fit.name: scores[fit.name] for fit in plan.fits}
        return with_left_out(plan.compare(others), scores, domains)

    return replace(
        plan,
        fits=(*plan.fits, *left_out),
        test={**plan.test, **left_out_streams(domains)},
        compare=compare,
    )


def _phases(
    domains: Domains,
    adaptation: Adaptation,
    context: PlanContext,
    start: Begin | None,
    selector: Selector,
    seen: bool,
) -> tuple[Phase, ...]:
    objectives, target = domains.on_sources(), domains.target
    learned = start is not None or context.pretrained
    before = Phase(
        name="pretrain",
        train=domains.streams("train", target=False),
        val=domains.streams("val", target=False),
        objectives=objectives,
        selection=objectives,
        epochs=adaptation.pretrain_epochs,
        recipe=context.recipe,
        learned=learned,
        joined=adaptation.joined,
    )
    unlabelled = {target.name: target.pool} if seen else {}
    main = replace(
        before,
        name="adapt" if seen else "generalize",
        train={**before.train, **unlabelled},
        epochs=context.epochs,
        observed=domains.shared() if seen else (),
        learned=learned or adaptation.pretrain_epochs > 0,
        selector=selector,
        oracle=domains.shared() if adaptation.oracle else (),
        oracle_streams={target.name: target.test},
    )
    return (before, main) if adaptation.pretrain_epochs else (main,)


def _main(
    domains: Domains, phases: tuple[Phase, ...], context: PlanContext, start: Begin | None
) -> Fit:
    return Fit(
        name=MAIN_FIT,
        modalities=context.modalities,
        heads={h: s for h, s in domains.specs.items() if any(h in p.specs for p in phases)},
        phases=phases,
        scored=domains.shared(),
        val_scored=domains.on_sources(),
        also_scored={"source": domains.on_sources()},
        begin=one_after_the_other(start),
    )


def _baselines(
    domains: Domains, phases: tuple[Phase, ...], context: PlanContext, start: Begin | None
) -> tuple[Fit, ...]:
    """Return the sources alone, with the steps of all phases, and the target with its labels."""
    objectives, budget = domains.on_sources(), sum(phase.num_steps for phase in phases)
    alone = replace(
        phases[-1],
        name="train",
        train=domains.streams("train", target=False),
        observed=(),
        selector=SelectByValidation(),
        oracle=(),
    )
    alone = replace(
        alone, epochs=math.ceil(budget / alone.steps_per_epoch), recipe=context.plain_recipe()
    )
    independent = frozenset({"validator", "oracle", "pretrain_epochs", "weighting", "sharing"})
    source_only = Fit(
        name=SOURCE_ONLY,
        modalities=context.modalities,
        heads={o.head: o.spec for o in objectives},
        phases=(alone,),
        scored=domains.shared(),
        val_scored=objectives,
        shares=False,
        begin=one_after_the_other(start),
        independent_of=independent | context.terms_without_effect(),
    )
    if not any(domains.target.num_labels("train").values()):
        return (source_only,)
    labelled = on_target_alone(TARGET_SUPERVISED, domains.target, phases, context, INDEPENDENT_OF)
    return (source_only, labelled)


def _plan(domains: Domains, fits: tuple[Fit, ...]) -> Plan:
    return Plan(
        fits=fits,
        val=domains.streams("val"),
        test=domains.streams("test"),
        compare=_over_source_only(domains),
    )


def _over_source_only(domains: Domains) -> Callable[[Mapping[str, SplitScores]], Comparison]:
    """Return what compares the main fit with the sources alone, and with the target's labels."""
    tasks = tuple(o.spec for o in domains.shared())

    def compare(scores: Mapping[str, SplitScores]) -> Comparison:
        baselines = {name: scores[name].test for name in scores if name != MAIN_FIT}
        if SOURCE_ONLY not in scores:
            return Comparison(baselines, None)
        rows = domains.target.num_test_rows()
        main, alone = scores[MAIN_FIT].test, scores[SOURCE_ONLY].test
        best = scores[TARGET_SUPERVISED].test if TARGET_SUPERVISED in scores else {}
        closed = {}
        for spec in tasks:
            metric = spec.task.primary
            if not all(spec.name in table for table in (main, alone, best)):
                continue
            gap = best[spec.name][metric] - alone[spec.name][metric]
            if gap:
                closed[spec.name] = 100 * (main[spec.name][metric] - alone[spec.name][metric]) / gap
        gain = relative_gain(main, alone, tasks, rows)
        return Comparison(baselines, {"against": SOURCE_ONLY, **gain, "gap_closed_percent": closed})

    return compare
