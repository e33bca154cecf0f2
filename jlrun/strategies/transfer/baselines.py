"""Baselines of transfer, with the same number of optimizer steps."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jlrun.data.labelled_streams import LabelledStreams
from jlrun.strategies.plan_context import PlanContext
from jlrun.strategies.supervised import supervised_fit
from jlrun.training.plan import Fit, Phase

SCRATCH = "scratch"
SOURCE_ONLY = "source_only"
TARGET_SUPERVISED = "target_supervised"
# What the target alone is learned with: nothing is fine-tuned or aligned, and no source is seen;
# the length of other phases shows in the fit's own epochs.
INDEPENDENT_OF = frozenset(
    {"source", "sources", "source_weights", "pretrain_epochs", "pretraining", "finetune"}
    | {"validator", "adapt", "oracle", "strategy"}
)


def on_target_alone(
    name: str,
    target: LabelledStreams,
    phases: Sequence[Phase],
    context: PlanContext,
    independent_of: frozenset[str],
) -> Fit:
    """Return a fit on the labelled target, from scratch, of as many steps as ``phases``.

    Terms that need more than the target have no part in it. If all are of that kind, it does not
    depend on them at all.
    """
    budget = sum(phase.num_steps for phase in phases)
    return supervised_fit(
        name,
        (target,),
        modalities=context.modalities,
        epochs=math.ceil(budget / target.train.steps_per_epoch),
        recipe=context.recipe,
        independent_of=independent_of | context.terms_without_effect(),
    )
