"""Multimodal learning: one phase, M modalities, a fusion; against one model per modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jlrun.data.augmentation.modality_dropout import ModalityDropout
from jlrun.data.labelled_streams import LabelledStreams
from jlrun.evaluation.scores import SplitScores
from jlrun.files.run_directory import BEST
from jlrun.strategies.gain import mean_primary, relative_gain
from jlrun.strategies.plan_parts import PlanContext, supervised_fit
from jlrun.training.plan import CheckpointEnsemble, Comparison, Fit, Plan, Recipe
from jlrun.training.recorder import MAIN_FIT

ENSEMBLE = "ensemble"
# A model of one modality has nothing to fuse, balance or lose. Several tasks are still weighed and
# shared.
INDEPENDENT_OF = frozenset({"fusion", "balance", "modality_dropout"})


def plan(data: LabelledStreams, context: PlanContext) -> Plan:
    """Return the plan of a multimodal run.

    The gain is over the best single modality, chosen by its validation score; the ensemble of all
    of them, their mean prediction, is a baseline too. Without validation rows no modality can be
    chosen, and the gain is over the ensemble.
    """

    def fit(name: str, modalities: tuple[str, ...], recipe: Recipe, **more: Any) -> Fit:
        return supervised_fit(
            name, (data,), modalities=modalities, epochs=context.epochs, recipe=recipe, **more
        )

    whole = replace(context.recipe, modality_dropout=ModalityDropout())
    alone = tuple(
        fit(
            name, (name,), whole, independent_of=INDEPENDENT_OF | context.terms_between_modalities()
        )
        for name in context.modalities
        if context.baselines
    )
    members = tuple((fit.name, BEST) for fit in alone)
    ensembles = (CheckpointEnsemble(ENSEMBLE, members, data.objectives()),) if alone else ()

    def compare(scores: Mapping[str, SplitScores]) -> Comparison:
        if not alone:
            return Comparison({}, None)
        main, rows = scores[MAIN_FIT].test, data.num_test_rows()
        over_ensemble = relative_gain(main, scores[ENSEMBLE].test, data.tasks, rows)
        baselines = {name: scores[name].test for name in (*context.modalities, ENSEMBLE)}
        if not len(data.val.rows):
            return Comparison(baselines, {"against": ENSEMBLE, **over_ensemble})
        best = max(context.modalities, key=lambda m: mean_primary(scores[m].val, data.tasks))
        gain = {
            "against": best,
            **relative_gain(main, scores[best].test, data.tasks, rows),
            "over_ensemble": over_ensemble,
        }
        return Comparison(baselines, gain)

    return Plan(
        fits=(fit(MAIN_FIT, context.modalities, context.recipe), *alone),
        val={data.name: data.val},
        test={data.name: data.test},
        compare=compare,
        ensembles=ensembles,
    )
