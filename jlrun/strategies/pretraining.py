"""A phase of self-supervised terms, and of terms between modalities, before any plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from jlrun.data.augmentation.modality_dropout import ModalityDropout
from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.streams import Stream
from jlrun.evaluation.retrieval import Retrieval
from jlrun.evaluation.retrieval.ranks import RECALL
from jlrun.evaluation.selectors import ByRepresentation
from jlrun.objective.terms.cross_modal import CrossModal
from jlrun.objective.weightings import Equal
from jlrun.objective.weightings.base import GradientOptions
from jlrun.training.plan import Comparison, Fit, Phase, Plan, Recipe

SELF_SUPERVISED = "self_supervised"
RETRIEVAL = Retrieval()


def with_pretraining(
    plan: Plan,
    datasets: Sequence[LabelledStreams],
    streams: Mapping[str, Stream],
    epochs: int,
    recipe: Recipe,
    *,
    retrieval: Retrieval = RETRIEVAL,
) -> Plan:
    """Return ``plan`` with another phase before all others of the main fit, and of those like it.

    It learns no task: the terms alone train the body, on batches with views, and its last weights
    are carried over; with a shared space of modalities those that find best on validation rows.
    Baselines begin as they did.

    Args:
        plan: of any mode.
        datasets: the data sets it learns from, whose features are probed.
        streams: stream name -> training stream, with views where terms need them.
        epochs: passes over the longest of the streams.
        recipe: how to optimise.
        retrieval: how shared spaces are scored.
    """
    main, *others = plan.fits
    terms = recipe.terms.values()
    has_space = len(main.modalities) > 1 and any(issubclass(t.kind, CrossModal) for t in terms)
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
            gradient_options=GradientOptions(),
            patience=None,
            modality_dropout=ModalityDropout(),
        ),
        across_modalities=len(main.modalities) > 1,
        selector=ByRepresentation(datasets, retrieval, RECALL if has_space else "epoch"),
    )
    fits = (_after(phase, fit) if fit.pretrained_alike else fit for fit in others)
    return replace(plan, fits=(_after(phase, main), *fits))


def _after(phase: Phase, fit: Fit) -> Fit:
    later = tuple(replace(following, learned=True) for following in fit.phases)
    return replace(fit, phases=(phase, *later))


def only_pretraining(plan: Plan) -> Plan:
    """Return ``plan`` with nothing but the phase that `with_pretraining` added.

    No task is learned, and so none is scored; the shared space of modalities is.
    """
    main = plan.fits[0]
    alone = Fit(
        main.name, main.modalities, main.heads, main.phases[:1], scored=(), begin=main.begin
    )
    return Plan((alone,), plan.test, plan.val, compare=lambda scores: Comparison({}, None))


def between_modalities(plan: Plan) -> Plan:
    """Return ``plan`` with terms between modalities added to the losses of tasks.

    They act wherever a model takes several modalities; baselines of one have no part in them.
    """
    fits = (
        replace(fit, phases=tuple(replace(p, across_modalities=True) for p in fit.phases))
        if len(fit.modalities) > 1
        else fit
        for fit in plan.fits
    )
    return replace(plan, fits=tuple(fits))
