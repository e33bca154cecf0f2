"""One phase on sources and target: Σ L_source + λ Σ L_target."""

from __future__ import annotations

from dataclasses import replace

from jlrun.strategies.plan_parts import (
    SCRATCH,
    TARGET_INDEPENDENT_OF,
    Begin,
    PlanContext,
    on_target_alone,
    one_after_the_other,
)
from jlrun.strategies.transfer.domains import Domains
from jlrun.strategies.transfer.finetune import over_scratch
from jlrun.training.plan import Fit, Phase, Plan
from jlrun.training.recorder import MAIN_FIT

# Here λ weighs the target; elsewhere the terms, which matter.
JOINT_INDEPENDENT_OF = TARGET_INDEPENDENT_OF | {"lambda_", "lambda_ramp"}


def plan_joint(
    domains: Domains, target_scale: float, context: PlanContext, start: Begin | None = None
) -> Plan:
    """Return the plan of joint training.

    Args:
        domains: at least one source, and the target, which selects the checkpoint.
        target_scale: λ, which the recipe's ramp multiplies.
        parts: collaborators.
        start: weights from elsewhere, which the model begins with.
    """
    target = domains.target
    on_target = tuple(
        replace(objective, scale=target_scale, ramped=True) for objective in target.objectives()
    )
    phase = Phase(
        name="joint",
        train=domains.streams("train"),
        val={target.name: target.val},
        objectives=(*domains.on_sources(), *on_target),
        selection=on_target,
        epochs=context.epochs,
        recipe=context.recipe,
        learned=start is not None or context.pretrained,
    )
    main = Fit(
        name=MAIN_FIT,
        modalities=context.modalities,
        heads=domains.specs,
        phases=(phase,),
        scored=target.objectives(),
        also_scored={"source": domains.on_sources()},
        begin=one_after_the_other(start),
    )
    scratch = on_target_alone(SCRATCH, target, (phase,), context, JOINT_INDEPENDENT_OF)
    return Plan(
        fits=(main, scratch) if context.baselines else (main,),
        val={target.name: target.val},
        test=domains.streams("test"),
        compare=over_scratch(domains),
    )
