"""Transfer learning: from a source task to a target task; against the target from scratch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from jlrun.phase import (
    Comparison,
    Fit,
    Objective,
    Phase,
    Plan,
    Reuse,
    SplitScores,
    body_and_head,
)
from jlrun.tasks import TaskSpec
from jlrun.trainers.gain import relative_gain
from jlrun.trainers.parts import Feed, Parts
from jlrun.trainers.supervised import supervised_fit

SCRATCH = "scratch"
SOURCE_ONLY = "source_only"
# From scratch nothing is fine-tuned and the source is not seen; the length of pretraining shows in
# the fit's own epochs. In joint transfer λ weighs the target, elsewhere the terms, which matter.
INDEPENDENT_OF = frozenset({"source", "pretrain_epochs", "finetune"})
JOINT_INDEPENDENT_OF = INDEPENDENT_OF | {"lambda_"}


@dataclass(frozen=True)
class Finetune:
    """Pretrain on the source, then fine-tune on the target.

    Attributes:
        pretrain_epochs: passes over the source.
        body_lr, head_lr: multiply the learning rate on the target; 0 freezes.
    """

    pretrain_epochs: int
    body_lr: float
    head_lr: float


def plan_finetune(source: Feed, target: Feed, finetune: Finetune, parts: Parts) -> Plan:
    """Return the plan of pretraining and fine-tuning.

    Where a source and a target task mean the same, one head serves both and is carried over with
    the rest; elsewhere the target gets a new head. The baseline from scratch does as many optimizer
    steps as both phases together.
    """
    heads = source_heads(source, target)
    on_source = source.objectives(heads, prefix="source.")
    on_target = target.objectives()
    pretrain = _phase(
        "pretrain", source, on_source, parts, epochs=finetune.pretrain_epochs, on=(source,)
    )
    tune = replace(
        _phase("finetune", target, on_target, parts, epochs=parts.epochs, on=(target,)),
        rules=body_and_head(finetune.body_lr, finetune.head_lr),
    )
    return _plan(source, target, (pretrain, tune), heads, parts, INDEPENDENT_OF)


def plan_joint(source: Feed, target: Feed, target_scale: float, parts: Parts) -> Plan:
    """Return the plan of one phase on both: Σ L_source + λ Σ L_target.

    Args:
        source: the data set that should help.
        target: the data set that matters; it selects the checkpoint.
        target_scale: λ.
        parts: collaborators.
    """
    heads = source_heads(source, target)
    objectives = (
        *source.objectives(heads, prefix="source."),
        *target.objectives(scale=target_scale),
    )
    phase = _phase("joint", target, objectives, parts, epochs=parts.epochs, on=(source, target))
    return _plan(source, target, (phase,), heads, parts, JOINT_INDEPENDENT_OF)


def source_heads(source: Feed, target: Feed) -> dict[str, str]:
    """Return source task -> head: that of the target task of the same name and classes, or one of
    its own."""
    by_name = {spec.name: spec for spec in target.tasks}
    return {
        spec.name: spec.name
        if spec.name in by_name and spec.shares_head_with(by_name[spec.name])
        else f"source_{spec.name}"
        for spec in source.tasks
    }


def _phase(
    name: str,
    selecting: Feed,
    objectives: tuple[Objective, ...],
    parts: Parts,
    *,
    epochs: int,
    on: tuple[Feed, ...],
) -> Phase:
    return Phase(
        name=name,
        train={feed.name: feed.train for feed in on},
        val={selecting.name: selecting.val},
        objectives=objectives,
        selection=tuple(o for o in objectives if o.stream == selecting.name),
        epochs=epochs,
        recipe=parts.recipe,
    )


def _plan(
    source: Feed,
    target: Feed,
    phases: tuple[Phase, ...],
    heads: Mapping[str, str],
    parts: Parts,
    independent_of: frozenset[str],
) -> Plan:
    specs: dict[str, TaskSpec] = {heads[spec.name]: spec for spec in source.tasks}
    specs |= {spec.name: spec for spec in target.tasks}
    main = Fit(
        name="main",
        modalities=parts.modalities,
        heads=specs,
        phases=phases,
        scored=target.objectives(),
        also_scored={"source": source.objectives(heads, prefix="source.")},
    )
    shared = tuple(o for o in target.objectives() if o.head in heads.values())
    reused = (
        (Reuse(SOURCE_ONLY, (("main", phases[0].name),), shared),)
        if parts.baselines and shared and len(phases) > 1
        else ()
    )
    scratch = _from_scratch(target, phases, parts, independent_of) if parts.baselines else ()

    def compare(scores: Mapping[str, SplitScores]) -> Comparison:
        baselines = {name: scores[name].test for name in scores if name != "main"}
        if SCRATCH not in scores:
            return Comparison(baselines, None)
        main, rows = scores["main"].test, target.num_test_rows()
        gain = relative_gain(main, scores[SCRATCH].test, target.tasks, rows)
        return Comparison(baselines, {"against": SCRATCH, **gain})

    return Plan(
        fits=(main, *scratch),
        val={target.name: target.val},
        test={source.name: source.test, target.name: target.test},
        compare=compare,
        reused=reused,
    )


def _from_scratch(
    target: Feed, phases: tuple[Phase, ...], parts: Parts, independent_of: frozenset[str]
) -> tuple[Fit, ...]:
    budget = sum(phase.num_steps for phase in phases)
    return (
        supervised_fit(
            SCRATCH,
            (target,),
            modalities=parts.modalities,
            epochs=math.ceil(budget / target.train.steps_per_epoch),
            recipe=parts.recipe,
            independent_of=independent_of,
        ),
    )
