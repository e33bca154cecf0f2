"""A phase of self-supervised terms before any plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from jlrun.data.modality_dropout import ModalityDropout
from jlrun.data.streams import Stream
from jlrun.judges import ByRepresentation
from jlrun.phase import Fit, Phase, Plan, Recipe
from jlrun.trainers.parts import Feed
from jlrun.weightings import Equal
from jlrun.weightings.route import GradientRoute

SELF_SUPERVISED = "self_supervised"


def with_pretraining(
    plan: Plan, feeds: Sequence[Feed], streams: Mapping[str, Stream], epochs: int, recipe: Recipe
) -> Plan:
    """Return ``plan`` with another phase before all others of the main fit, and of those like it.

    It learns no task: the terms alone train the body, on batches with views, and its last weights
    are carried over. Baselines begin as they did.

    Args:
        plan: of any mode.
        feeds: the data sets it learns from, whose features are judged.
        streams: stream name -> training stream with views.
        epochs: passes over the longest of the streams.
        recipe: how to optimise.
    """
    phase = Phase(
        name=SELF_SUPERVISED,
        train=streams,
        val={},
        objectives=(),
        selection=(),
        epochs=epochs,
        recipe=replace(
            recipe,
            make_weighting=Equal,
            route=GradientRoute(),
            patience=None,
            modality_dropout=ModalityDropout(),
        ),
        judge=ByRepresentation(feeds),
    )
    main, *others = plan.fits
    fits = (_after(phase, fit) if fit.pretrained_alike else fit for fit in others)
    return replace(plan, fits=(_after(phase, main), *fits))


def _after(phase: Phase, fit: Fit) -> Fit:
    later = tuple(replace(following, learned=True) for following in fit.phases)
    return replace(fit, phases=(phase, *later))
