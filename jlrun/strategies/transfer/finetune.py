"""Pretrain on sources, or take weights from elsewhere; then fine-tune on the target."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jlrun.evaluation.scores import SplitScores
from jlrun.strategies.finetuning import Finetuning
from jlrun.strategies.gain import relative_gain
from jlrun.strategies.plan_context import Begin, PlanContext, one_after_the_other
from jlrun.strategies.transfer.baselines import (
    INDEPENDENT_OF,
    SCRATCH,
    SOURCE_ONLY,
    on_target_alone,
)
from jlrun.strategies.transfer.domains import Domains
from jlrun.training.plan import CheckpointEnsemble, Comparison, Fit, Phase, Plan
from jlrun.training.recorder import MAIN_FIT

PRETRAIN = "pretrain"


def plan_finetune(
    domains: Domains,
    finetuning: Finetuning,
    context: PlanContext,
    *,
    pretrain_epochs: int,
    start: Begin | None = None,
) -> Plan:
    """Return the plan of pretraining and fine-tuning.

    Where a source and a target task mean the same, one head serves both and is carried over with
    the rest; elsewhere the target gets a new head. The baseline from scratch does as many optimizer
    steps as all phases together.

    Args:
        domains: sources and target; without sources nothing is pretrained.
        finetuning: what trains when on the target.
        parts: collaborators.
        pretrain_epochs: passes over the (longest) source.
        start: weights from elsewhere, which the model begins with.
    """
    learned = start is not None or context.pretrained
    before = _pretraining(domains, context, pretrain_epochs, learned)
    learned = learned or bool(before)
    phases = (*before, *_tuning(domains, finetuning, context, learned))
    main = Fit(
        name=MAIN_FIT,
        modalities=context.modalities,
        heads=domains.specs,
        phases=phases,
        scored=domains.target.objectives(),
        also_scored={"source": domains.on_sources()} if domains.sources else {},
        begin=one_after_the_other(start, finetuning.begin),
        interpolated=(PRETRAIN if before else "") if finetuning.wise_ft else None,
    )
    shared = domains.shared()
    ensembles = (
        (CheckpointEnsemble(SOURCE_ONLY, ((MAIN_FIT, PRETRAIN),), shared),)
        if context.baselines and shared and before
        else ()
    )
    scratch = (
        (on_target_alone(SCRATCH, domains.target, phases, context, INDEPENDENT_OF),)
        if context.baselines
        else ()
    )
    return Plan(
        fits=(main, *scratch),
        val={domains.target.name: domains.target.val},
        test=domains.streams("test"),
        compare=over_scratch(domains),
        ensembles=ensembles,
    )


def over_scratch(domains: Domains) -> Callable[[Mapping[str, SplitScores]], Comparison]:
    """Return what compares the main fit with the target from scratch."""

    def compare(scores: Mapping[str, SplitScores]) -> Comparison:
        baselines = {name: scores[name].test for name in scores if name != MAIN_FIT}
        if SCRATCH not in scores:
            return Comparison(baselines, None)
        target = domains.target
        main, rows = scores[MAIN_FIT].test, target.num_test_rows()
        gain = relative_gain(main, scores[SCRATCH].test, target.tasks, rows)
        return Comparison(baselines, {"against": SCRATCH, **gain})

    return compare


def _pretraining(
    domains: Domains, context: PlanContext, epochs: int, learned: bool
) -> tuple[Phase, ...]:
    if not domains.sources:
        return ()
    objectives = domains.on_sources()
    phase = Phase(
        name=PRETRAIN,
        train=domains.streams("train", target=False),
        val=domains.streams("val", target=False),
        objectives=objectives,
        selection=objectives,
        epochs=epochs,
        recipe=context.recipe,
        learned=learned,
    )
    return (phase,)


def _tuning(
    domains: Domains, finetuning: Finetuning, context: PlanContext, learned: bool
) -> tuple[Phase, ...]:
    target = domains.target
    objectives = target.objectives()
    # Terms that preserve the source compare what its heads predict for the target.
    observed = domains.on_target_by_source_heads() if "learned weights" in context.needs else ()
    return tuple(
        Phase(
            name=stage.name,
            train={target.name: target.train},
            val={target.name: target.val},
            objectives=objectives,
            selection=objectives,
            epochs=stage.epochs,
            recipe=context.recipe,
            rules=stage.rules,
            observed=observed,
            learned=learned,
            batch_norm=finetuning.batch_norm,
        )
        for stage in finetuning.stages(context.epochs, context.blocks(domains.specs))
    )
