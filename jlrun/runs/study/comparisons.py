"""Which arms of a study are compared with which, and for which question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.runs.study.arms import Arm, Subject, after, alone, few, joint, of_modality, pair
from jlrun.runs.study.differences import Call, Difference, Pair, calls, difference
from jlrun.runs.study.evidence import Evidence, Predicted, ensemble
from jlrun.runs.study.settings import Question

ENSEMBLE = "ensemble"  # of the models with one modality each


@dataclass(frozen=True)
class Comparison:
    """Two arms, the task that they are compared on, and what for.

    Attributes:
        question: that it answers.
        arm, against: names.
        task: name.
        what: of the arm: the other task, the modality, the weighting, or the share of rows.
    """

    question: Question
    arm: str
    against: str
    task: str
    what: str


@dataclass(frozen=True)
class Answer:
    """A comparison, and what was found; ``found`` is None where runs are missing."""

    comparison: Comparison
    found: Difference | None
    call: Call | None


def comparisons(subject: Subject, arms: Sequence[Arm]) -> Iterator[Comparison]:
    """Yield the comparisons that the arms allow."""
    names = {arm.name for arm in arms}
    for found in _possible(subject, arms):
        if found.arm in names | {ENSEMBLE} and found.against in names:
            yield found


def _possible(subject: Subject, arms: Sequence[Arm]) -> Iterator[Comparison]:
    tasks = subject.tasks
    for task in tasks:
        others = [other for other in tasks if other != task]
        what = others[0] if len(others) == 1 else "all tasks"
        yield Comparison("joint", joint(), alone(task), task, what)
    for arm in arms:
        if arm.question == "weightings":
            what = arm.name.partition("/")[2]
            for task in tasks:
                yield Comparison("weightings", arm.name, joint(), task, what)
        if arm.question == "pretraining":
            for task in tasks:
                yield Comparison("pretraining", arm.name, _all(subject, task), task, "pretraining")
    for source in tasks:
        for task in tasks:
            if source != task:
                both = _pair(subject, source, task)
                yield Comparison("pairs", both, alone(task), task, source)
                yield Comparison("transfer", after(source, task), alone(task), task, source)
    if len(subject.modalities) > 1:
        yield from _of_modalities(subject)
    yield from _of_few(arms)


def _pair(subject: Subject, one: str, other: str) -> str:
    first, second = sorted((one, other), key=subject.tasks.index)
    return pair(first, second)


def _all(subject: Subject, task: str) -> str:
    """Return the arm with all tasks and modalities."""
    return joint() if len(subject.tasks) > 1 else alone(task)


def _of_modalities(subject: Subject) -> Iterator[Comparison]:
    for task in subject.tasks:
        fused = _all(subject, task)
        for modality in subject.modalities:
            yield Comparison("modalities", fused, of_modality(modality), task, modality)
        yield Comparison("modalities", ENSEMBLE, fused, task, ENSEMBLE)


def _of_few(arms: Sequence[Arm]) -> Iterator[Comparison]:
    for arm in arms:
        if arm.question == "few" and arm.source is not None:
            (task,) = arm.tasks
            share = float(arm.name.rsplit("-", 2)[1])
            yield Comparison("few", arm.name, few(task, share, False), task, f"{share:.0%}")


def answered(
    asked: Sequence[Comparison], evidence: Evidence, subject: Subject, seeds: int
) -> list[Answer]:
    """Return what the finished cells answer, all differences corrected together."""
    found = [_difference(each, evidence, subject, seeds) for each in asked]
    said = iter(calls([each for each in found if each is not None]))
    return [
        Answer(comparison, each, None if each is None else next(said))
        for comparison, each in zip(asked, found, strict=True)
    ]


def _difference(
    asked: Comparison, evidence: Evidence, subject: Subject, seeds: int
) -> Difference | None:
    pairs = []
    for seed in range(seeds):
        ours = (
            _ensemble(evidence, subject, seed, asked.task)
            if asked.arm == ENSEMBLE
            else evidence.of(asked.arm, seed, asked.task)
        )
        theirs = evidence.of(asked.against, seed, asked.task)
        if ours is not None and theirs is not None and ours.rows.same_rows_as(theirs.rows):
            pairs.append(Pair(ours, theirs))
    kind = evidence.tasks[asked.task]
    return difference((asked.arm, asked.against), asked.task, kind, pairs, seed=0)


def _ensemble(evidence: Evidence, subject: Subject, seed: int, task: str) -> Predicted | None:
    members = [evidence.of(of_modality(m), seed, task) for m in subject.modalities]
    known = [each for each in members if each is not None]
    if len(known) < len(members):
        return None
    rows: RowPredictions = ensemble(tuple(each.rows for each in known))
    return Predicted(rows, known[0].places)
