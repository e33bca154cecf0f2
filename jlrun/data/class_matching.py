"""Matching of target tasks to source tasks, where the target has fewer classes, or no labels.

A task learned on the sources also serves a target that has a subset of its classes (partial
adaptation), others besides (open-set adaptation), or no labels: the head remains that of the
sources, and the labels of the target are renumbered in the order of its classes. Rows of classes
that the sources lack count as unlabelled.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.splits import Splits
from jlrun.data.strata import UNLABELLED, has_class_column
from jlrun.data.view import View
from jlrun.tasks import Binary, Multiclass, Task

FEWEST_ALIKE = 3  # classes by which tasks of different names are one


@dataclass(frozen=True)
class Learned:
    """A task with exclusive classes, learned on a source.

    Attributes:
        source: config path of the data set.
        name: of the task.
        task: its kind.
        classes: in the order of the logits.
    """

    source: str
    name: str
    task: Task
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Matching:
    """Matches between the tasks of a target and those of its sources.

    Attributes:
        classes: task of the target -> the classes of the matching source task, where they differ.
        called: task of the sources -> the matching task of the target, where names differ.
        lines: log lines on matches that differ.
        unknown: task of the target -> its classes that the source lacks.
        unmatched: task of the target -> why it matches no source task.
    """

    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    called: Mapping[str, str] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unmatched: Mapping[str, str] = field(default_factory=dict)


def match(
    tasks: Mapping[str, Task],
    classes: Mapping[str, tuple[str, ...]],
    learned: Sequence[Learned],
    by_classes: bool,
) -> Matching:
    """Return the matches between the tasks of a target and those of its sources.

    Tasks match by name and kind. A single task of the target may match a task of another name, if
    that is the only one with its classes, or with the most of them.

    Args:
        tasks: of the target, with exclusive classes or without known classes.
        classes: task -> classes that occur; () without labels.
        learned: tasks of the sources.
        by_classes: whether names may differ, and the target may have classes that sources lack.
    """
    found, called, lines, unknown, unmatched = {}, {}, list[str](), {}, {}
    for name, task in tasks.items():
        own, same_kind = classes[name], [each for each in learned if type(each.task) is type(task)]
        named = [each for each in same_kind if each.name == name]
        others = same_kind if by_classes and len(tasks) == 1 and not named else []
        chosen = _of_same_name(own, named) if named else _of_other_name(own, others)
        if chosen is None and by_classes:
            chosen = _with_most(own, named or others)
        if chosen is None:
            unmatched[name] = _why_not(name, own, others, learned)
            continue
        if chosen.name != name:
            called[chosen.name] = name
            same = "it has those classes" if {*own} <= {*chosen.classes} else "by their classes"
            why = same if own else "without labels, the first is taken"
            lines.append(f"target.{name} is matched to '{chosen.name}' of {chosen.source}: {why}")
        if own != chosen.classes:
            found[name] = chosen.classes
            lines += _differences(name, own, chosen)
        if not set(own) <= set(chosen.classes):
            unknown[name] = tuple(c for c in own if c not in chosen.classes)
    return Matching(found, called, tuple(lines), unknown, unmatched)


def match_equal(
    tasks: Mapping[str, Task],
    classes: Mapping[str, tuple[str, ...]],
    learned: Sequence[Learned],
) -> Matching:
    """Return the match of a target's only task to a source task of another name.

    It must have the same classes, at least three, as no other of that kind has: two tasks of yes
    and no are rarely one.
    """
    if len(tasks) != 1:
        return Matching()
    ((name, task),) = tasks.items()
    own, same_kind = classes[name], [each for each in learned if type(each.task) is type(task)]
    alike = {each.name: each for each in same_kind if set(each.classes) == set(own)}
    if len(own) < FEWEST_ALIKE or len(alike) != 1 or any(each.name == name for each in learned):
        return Matching()
    (chosen,) = alike.values()
    line = f"target.{name} is matched to '{chosen.name}' of {chosen.source}: it has those classes"
    moved = {} if own == chosen.classes else {name: chosen.classes}
    return Matching(moved, {chosen.name: name}, (line,))


def _of_same_name(own: Sequence[str], named: Sequence[Learned]) -> Learned | None:
    return next((each for each in named if set(own) <= set(each.classes)), None)


def _of_other_name(own: Sequence[str], others: Sequence[Learned]) -> Learned | None:
    """Return the only task with these classes, or else with these among others."""
    if not own:
        return next(iter(others), None)
    for fits in (set(own).__eq__, set(own).__le__):
        found = {each.name: each for each in reversed(others) if fits(set(each.classes))}
        if len(found) == 1:
            return next(iter(found.values()))
        if found:
            return None
    return None


def _with_most(own: Sequence[str], offered: Sequence[Learned]) -> Learned | None:
    """Return the task with the most of these classes; None if there are none, or several tasks."""
    shared = {each.name: len({*own} & {*each.classes}) for each in reversed(offered)}
    most = max(shared.values(), default=0)
    found = [each for each in offered if most and shared[each.name] == most]
    return found[0] if len({each.name for each in found}) == 1 else None


def _differences(name: str, own: Sequence[str], chosen: Learned) -> list[str]:
    of = f"the {len(chosen.classes)} classes of {chosen.source}.{chosen.name}"
    if not own:
        return [f"target.{name} has no labels; its classes are {of}"]
    shared = [c for c in own if c in chosen.classes]
    if len(shared) == len(chosen.classes):
        return []  # but for their order, and others
    return [
        f"target.{name} has {len(shared)} of {of} ({listed(shared)}): the head is that of the "
        "source, scores are over the rows of the target"
    ]


def _why_not(
    name: str, own: Sequence[str], others: Sequence[Learned], learned: Sequence[Learned]
) -> str:
    first = next((each for each in learned if each.name == name), None)
    unknown = [c for c in own if first is not None and c not in first.classes]
    if first is not None and unknown:
        return (
            f"{listed(unknown)} {'is' if len(unknown) == 1 else 'are'} not among the classes of "
            f"{first.source}.{first.name}: {listed(first.classes)}; keep known classes "
            "by target.classes=[…]"
        )
    fitting = [each for each in others if set(own) <= set(each.classes)]
    if len(fitting) > 1:
        several = " or ".join(f"'{each.name}'" for each in fitting)
        return f"may be {several} of the sources; give it the name of one"
    there = ", ".join(f"{each.source}.{each.name}" for each in learned)
    having = f" and the classes {listed(own)}" if own else ""
    return f"no source has a task of that name and kind{having}; there is {there or 'none'}"


def listed(names: Collection[str]) -> str:
    """Return the first names, quoted, and how many there are if there are more."""
    shown = [f"'{name}'" for name in names][:8]
    return ", ".join(shown) + (f", … ({len(names)})" if len(names) > len(shown) else "")


def has_classes(splits: Splits, name: str, task: Task) -> bool:
    """Whether rows have at most one class each, of a task that may have no label."""
    if not isinstance(task, Multiclass | Binary):
        return False
    return not splits.classes[name] or has_class_column(splits.train, name, splits.classes)


def in_classes_of_sources(splits: Splits, classes: Mapping[str, tuple[str, ...]]) -> Splits:
    """Return the splits with labels that are positions in ``classes``, task -> its classes."""
    relabel = {task: _positions(splits.classes[task], names) for task, names in classes.items()}

    def moved(view: View) -> View:
        return view.relabelled(relabel)

    return replace(
        splits,
        train=moved(splits.train),
        val=moved(splits.val),
        test=moved(splits.test),
        pool=moved(splits.pool),
        classes={**splits.classes, **classes},
    )


def _positions(own: Sequence[str], classes: Sequence[str]) -> Tensor:
    # Rows without labels have the filler 0, also where there are no classes.
    return torch.tensor([classes.index(c) if c in classes else UNLABELLED for c in own] or [0])


def renamed(streams: LabelledStreams, called: Mapping[str, str]) -> LabelledStreams:
    """Return the streams with tasks renamed; their columns stay."""
    tasks = (
        replace(spec, name=called[spec.name], target=spec.column) if spec.name in called else spec
        for spec in streams.tasks
    )
    return replace(streams, tasks=tuple(tasks))
