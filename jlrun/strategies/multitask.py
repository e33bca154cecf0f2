"""Multi-task learning: one phase, T tasks of one or several data sets, a weighting; against one
model per task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.sampling import All, Alone, Sampling
from jlrun.evaluation.scores import SplitScores
from jlrun.objective.weightings import Equal
from jlrun.objective.weightings.base import GradientOptions
from jlrun.strategies.gain import relative_gain
from jlrun.strategies.plan_context import PlanContext
from jlrun.strategies.supervised import supervised_fit
from jlrun.tasks import TaskSpec
from jlrun.training.plan import Comparison, Fit, Plan
from jlrun.training.recorder import MAIN_FIT

# A model of one task has nothing to weigh, nothing to share, and no other task. What the
# sampling means for it, its number of steps, differs anyway.
INDEPENDENT_OF = frozenset({"weighting", "sharing", "sampling", "tasks"})
# Which data sets are used depends on the tasks, and what a model takes on the first of them.
INDEPENDENT_OF_AMONG_SEVERAL = INDEPENDENT_OF - {"tasks"}


def plan(
    datasets: tuple[LabelledStreams, ...], context: PlanContext, sampling: Sampling | None = None
) -> Plan:
    """Return the plan of a multi-task run; a single task has no baseline but itself.

    A baseline has the same budget for its task: it does as many optimizer steps as the joint model
    takes batches of the task's data set, on the same batches, in as many epochs.

    Args:
        datasets: the data sets, of which no two tasks have the same name.
        parts: collaborators.
        sampling: which data sets each step takes a batch from; None: all of them.
    """
    joint = sampling or All()
    tasks = tuple(spec for dataset in datasets for spec in dataset.tasks)
    main = supervised_fit(
        MAIN_FIT,
        datasets,
        modalities=context.modalities,
        epochs=context.epochs,
        recipe=context.recipe,
        sampling=joint,
    )
    counts = joint.counts([dataset.train.steps_per_epoch for dataset in datasets])
    alone = tuple(
        _alone(dataset, spec, count, context, several=len(datasets) > 1)
        for dataset, count in zip(datasets, counts, strict=True)
        for spec in dataset.tasks
        if context.baselines and len(tasks) > 1
    )

    def compare(scores: Mapping[str, SplitScores]) -> Comparison:
        if not alone:
            return Comparison({}, None)
        baseline = {spec.name: scores[_baseline(spec)].test.get(spec.name, {}) for spec in tasks}
        rows = {
            task: count for dataset in datasets for task, count in dataset.num_test_rows().items()
        }
        gain = relative_gain(scores[MAIN_FIT].test, baseline, tasks, rows)
        return Comparison({"single_task": baseline}, {"against": "single_task", **gain})

    return Plan(
        fits=(main, *alone),
        val={dataset.name: dataset.val for dataset in datasets},
        test={dataset.name: dataset.test for dataset in datasets},
        compare=compare,
    )


def _alone(
    dataset: LabelledStreams, spec: TaskSpec, count: int, context: PlanContext, several: bool
) -> Fit:
    """Return the fit of one task on ``count`` batches of its data set in each epoch."""
    fit = supervised_fit(
        _baseline(spec),
        (replace(dataset, tasks=(spec,)),),
        modalities=context.modalities,
        epochs=context.epochs,
        recipe=replace(context.recipe, make_weighting=Equal, gradient_options=GradientOptions()),
        sampling=Alone(count),
        independent_of=INDEPENDENT_OF_AMONG_SEVERAL if several else INDEPENDENT_OF,
    )
    return replace(fit, shares=False)


def _baseline(spec: TaskSpec) -> str:
    return f"single_task/{spec.name}"
