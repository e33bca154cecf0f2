"""Multimodal learning: one phase, M modalities, a fusion; against one model per modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jlrun.data.augmentation.modality_dropout import ModalityDropout
from jlrun.data.labelled_streams import Feed
from jlrun.evaluation.split_scores import SplitScores
from jlrun.strategies.gain import mean_primary, relative_gain
from jlrun.strategies.plan_context import Parts
from jlrun.strategies.supervised import supervised_fit
from jlrun.training.plan import Comparison, Fit, Plan, Recipe, Reuse

ENSEMBLE = "ensemble"
# A model of one modality has nothing to fuse, balance or lose. Several tasks are still weighed and
# shared.
INDEPENDENT_OF = frozenset({"fusion", "balance", "modality_dropout"})


def plan(data: Feed, parts: Parts) -> Plan:
    """Return the plan of a multimodal run.

    The gain is over the best single modality, chosen by its validation score; the ensemble of all
    of them, their mean prediction, stands beside it.
    """

    def fit(name: str, modalities: tuple[str, ...], recipe: Recipe, **more: Any) -> Fit:
        return supervised_fit(
            name, (data,), modalities=modalities, epochs=parts.epochs, recipe=recipe, **more
        )

    whole = replace(parts.recipe, modality_dropout=ModalityDropout())
    alone = tuple(
        fit(name, (name,), whole, independent_of=INDEPENDENT_OF | parts.terms_between_modalities())
        for name in parts.modalities
        if parts.baselines
    )
    members = tuple((fit.name, "best") for fit in alone)
    reused = (Reuse(ENSEMBLE, members, data.objectives()),) if alone else ()

    def compare(scores: Mapping[str, SplitScores]) -> Comparison:
        if not alone:
            return Comparison({}, None)
        main, rows = scores["main"].test, data.num_test_rows()
        best = max(parts.modalities, key=lambda m: mean_primary(scores[m].val, data.tasks))
        names = (*parts.modalities, ENSEMBLE)
        gain = {
            "against": best,
            **relative_gain(main, scores[best].test, data.tasks, rows),
            "over_ensemble": relative_gain(main, scores[ENSEMBLE].test, data.tasks, rows),
        }
        return Comparison({name: scores[name].test for name in names}, gain)

    return Plan(
        fits=(fit("main", parts.modalities, parts.recipe), *alone),
        val={data.name: data.val},
        test={data.name: data.test},
        compare=compare,
        reused=reused,
    )
