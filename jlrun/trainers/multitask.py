"""Multi-task learning: one phase, K tasks, a weighting; against one model per task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from jlrun.phase import Comparison, Fit, Plan, Recipe, SplitScores
from jlrun.tasks import TaskSpec
from jlrun.trainers.gain import relative_gain
from jlrun.trainers.parts import Feed, Parts
from jlrun.trainers.supervised import supervised_fit
from jlrun.weightings import Equal


def plan(data: Feed, parts: Parts) -> Plan:
    """Return the plan of a multi-task run; a single task has no baseline but itself."""

    def fit(name: str, tasks: tuple[TaskSpec, ...], recipe: Recipe) -> Fit:
        return supervised_fit(
            name,
            replace(data, tasks=tasks),
            modalities=parts.modalities,
            epochs=parts.epochs,
            recipe=recipe,
        )

    single = replace(parts.recipe, make_weighting=Equal)
    alone = tuple(
        fit(f"single_task/{spec.name}", (spec,), single)
        for spec in data.tasks
        if parts.baselines and len(data.tasks) > 1
    )

    def compare(scores: Mapping[str, SplitScores]) -> Comparison:
        if not alone:
            return Comparison({}, None)
        baseline = {
            spec.name: scores[f"single_task/{spec.name}"].test.get(spec.name, {})
            for spec in data.tasks
        }
        gain = relative_gain(scores["main"].test, baseline, data.tasks, data.num_test_rows())
        return Comparison({"single_task": baseline}, {"against": "single_task", **gain})

    return Plan(
        fits=(fit("main", data.tasks, parts.recipe), *alone),
        val={data.name: data.val},
        test={data.name: data.test},
        compare=compare,
    )
