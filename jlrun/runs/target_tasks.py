"""The tasks of a target with a few labels or none, and those of its sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jlrun.config.build import build
from jlrun.config.slots import TASK
from jlrun.config.value_types import Strategy
from jlrun.data.class_matching import (
    Learned,
    Matching,
    has_classes,
    in_classes_of_sources,
    listed,
    match,
    match_equal,
    renamed,
)
from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.splits import Splits
from jlrun.data.strata import UNLABELLED, class_column
from jlrun.data.view import View
from jlrun.errors import Problem, UserError
from jlrun.runs.settings import DataSettings, Nodes
from jlrun.strategies.plan_parts import SOURCE_ONLY, TARGET_SUPERVISED
from jlrun.training.plan import Plan


def match_target(
    settings: DataSettings, splits: Mapping[str, Splits]
) -> tuple[dict[str, Splits], Matching]:
    """Return the splits, the target's in the classes of its sources, and how they were found.

    In adaptation and generalisation; in joint training where rows of the target lack labels; in
    joint training and fine-tuning also a single task whose classes are those of a source's.

    Raises:
        UserError: if no source teaches any task of the target, with the reasons.
    """
    strategy, nodes, found = settings.strategy, settings.nodes, dict(splits)
    if "target" not in nodes or strategy not in ("adapt", "generalize", "joint", "finetune"):
        return found, Matching()
    tasks, own = dict(_tasks(settings, splits["target"])), splits["target"].classes
    learned = [each for path in nodes if path != "target" for each in _learned(path, nodes, splits)]
    if strategy in ("joint", "finetune"):
        alone = len(own) == 1 or settings.tasks is not None
        matching = match_equal(tasks if alone else {}, own, learned)
        if strategy == "finetune" or matching.called:
            found["target"] = in_classes_of_sources(splits["target"], matching.classes)
            return found, matching
        tasks = {name: task for name, task in tasks.items() if _lacks(splits["target"], name)}
    matching = match(tasks, own, learned, by_classes=strategy != "joint")
    others = set(splits["target"].classes) - set(tasks)
    if strategy != "joint" and tasks and not others and len(matching.unmatched) == len(tasks):
        raise UserError(
            [Problem(f"target.tasks.{name}", why) for name, why in matching.unmatched.items()]
        )
    found["target"] = in_classes_of_sources(splits["target"], matching.classes)
    return found, _counted(matching, splits["target"], found["target"])


def _counted(matching: Matching, before: Splits, after: Splits) -> Matching:
    """Return the matching with lines on the rows whose classes the sources lack."""
    lines = []
    for task, classes in matching.unknown.items():
        rows = [
            f"{left_out(old, new, task):,} of {len(new):,} {split} rows"
            for split, old, new in (
                ("training", before.pool, after.pool),
                ("test", before.test, after.test),
            )
        ]
        lines.append(
            f"target.{task} has classes that no source has, {listed(classes)}: "
            f"{' and '.join(rows)} have one of them; they count as unlabelled, and no score "
            "counts them"
        )
    return replace(matching, lines=(*matching.lines, *lines))


def left_out(before: View, after: View, task: str) -> int:
    """Return how many rows of a split lose their label of a task."""
    return int((class_column(before, task) >= 0).sum() - (class_column(after, task) >= 0).sum())


def _tasks(settings: DataSettings, splits: Splits) -> Iterator[tuple[str, Any]]:
    """Yield the target's tasks in use that have exclusive classes."""
    for name, task_node in settings.nodes["target"]["tasks"].items():
        if settings.tasks is None or name in settings.tasks:
            task = build(task_node, TASK)
            if has_classes(splits, name, task):
                yield name, task


def _learned(path: str, nodes: Nodes, splits: Mapping[str, Splits]) -> Iterator[Learned]:
    for name, node in nodes[path]["tasks"].items():
        task = build(node, TASK)
        if has_classes(splits[path], name, task):
            yield Learned(path, name, task, splits[path].classes[name])


def _lacks(splits: Splits, task: str) -> bool:
    return bool((class_column(splits.train, task) == UNLABELLED).any())


def named_as_target(
    labelled: Sequence[LabelledStreams], matching: Matching
) -> tuple[LabelledStreams, ...]:
    """Return the labelled, tasks of the sources called as those of the target that they are."""
    return tuple(f if f.name == "target" else renamed(f, matching.called) for f in labelled)


def check_labels(strategy: Strategy | None, labelled: Sequence[LabelledStreams]) -> None:
    """Check that every task to train has labelled rows.

    Raises:
        UserError: for a target that is fine-tuned or learned jointly.
    """
    target = next((streams for streams in labelled if streams.name == "target"), None)
    if target is None or strategy not in ("finetune", "joint"):
        return
    if not any(target.num_labels("train").values()):
        raise UserError.of(
            "target",
            f"no training row has a label, which strategy={strategy} learns from; "
            "strategy=adapt needs none",
        )


def notes_on_target(
    strategy: Strategy | None,
    plan: Plan,
    labelled: Sequence[LabelledStreams],
    matching: Matching,
) -> tuple[str, ...]:
    """Return lines on how the target is learned and scored, where that is not as usual."""
    target = next((streams for streams in labelled if streams.name == "target"), None)
    if strategy == "finetune":
        return matching.lines
    if target is None or strategy not in ("adapt", "generalize", "joint"):
        return ()
    lines = [*matching.lines]
    if strategy != "joint":
        lines += _left_out(plan, labelled, target, matching)
    labels = {split: target.num_labels(split) for split in ("train", "val", "test")}
    names = {fit.name for fit in plan.fits}
    if strategy == "adapt" and SOURCE_ONLY in names and TARGET_SUPERVISED not in names:
        lines.append(f"no baseline {TARGET_SUPERVISED}: no training row of the target has a label")
    if strategy == "joint" and not any(labels["val"].values()):
        lines.append(
            "target: no validation row has a label, so the last epoch is kept; a larger "
            "target.val_fraction may give some"
        )
    scored = [objective.spec.name for objective in plan.fits[0].scored]
    lines += [
        f"target.{task}: no row of the test split has a label, so there will be no test scores"
        for task in scored
        if not labels["test"].get(task, 1)
    ]
    return tuple(lines)


def _left_out(
    plan: Plan, labelled: Sequence[LabelledStreams], target: LabelledStreams, matching: Matching
) -> Iterator[str]:
    """Yield a line on each task that the target or a source does not share."""
    scored = {objective.spec.name for objective in plan.fits[0].scored}
    for spec in target.tasks:
        if spec.name not in scored:
            why = matching.unmatched.get(
                spec.name, "no source has a task of the same name, kind and classes"
            )
            yield f"target.{spec.name} is left out: {why}"
    own = {spec.name: spec for spec in target.tasks}
    for streams in (streams for streams in labelled if streams.name != "target"):
        for spec in streams.tasks:
            name = f"{streams.name}.{spec.name}"
            if spec.name not in own:
                yield f"{name} is learned on the source alone: the target lacks it"
            elif spec.name in scored and not spec.shares_head_with(own[spec.name]):
                yield f"{name} has other classes, and a head that the target lacks"
