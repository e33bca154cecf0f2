"""Answers of a study: which tasks and modalities help which, by how much, and at what cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from scipy import stats

from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.task_relations import read_relations
from jlrun.runs.study.arms import joint
from jlrun.runs.study.comparisons import Answer, answered, comparisons
from jlrun.runs.study.evidence import Evidence
from jlrun.runs.study.grouping import Grouping, best_grouping
from jlrun.runs.study.settings import Question

if TYPE_CHECKING:
    from jlrun.runs.study.study import Study

Matrix = Mapping[tuple[str, str], float]  # (with or after, task) -> number
_FEWEST_PAIRS = 6  # for a rank correlation that is worth a line


@dataclass(frozen=True)
class Predicted:
    """What was measured in joint training, to set against the gains that training shows.

    Attributes:
        cosine: of the gradients of two tasks, mean over the training and the seeds.
        affinity: of a step on one task to the loss of another (Fifty et al., 2021).
        agreement: name -> Spearman's correlation with the gains of pairs; empty for few pairs.
    """

    cosine: Matrix
    affinity: Matrix
    agreement: Mapping[str, float]


@dataclass(frozen=True)
class Answers:
    """What a study found.

    Attributes:
        tasks, modalities: names.
        all: every comparison, with what was found.
        groupings: number of models -> the best division of the tasks among at most so many.
        predicted: by gradients.
        seconds: arm -> mean of its runs.
        failed: number of cells that did.
    """

    tasks: tuple[str, ...]
    modalities: tuple[str, ...]
    all: tuple[Answer, ...]
    groupings: Mapping[int, Grouping]
    predicted: Predicted
    seconds: Mapping[str, float]
    failed: int

    def of(self, question: Question) -> list[Answer]:
        """Return the answers to a question, those without runs left out."""
        return [a for a in self.all if a.comparison.question == question and a.found is not None]

    def judged(self, question: Question) -> list[Answer]:
        """Return the answers to a question of which something may be said: two seeds or more."""
        return [a for a in self.of(question) if a.call != "one seed"]

    def to_json(self) -> dict[str, Any]:
        """Return the part of ``study.json``."""
        return {
            "comparisons": [_entry(answer) for answer in self.all if answer.found is not None],
            "unanswered": [asdict(a.comparison) for a in self.all if a.found is None],
            "groupings": {str(k): asdict(grouping) for k, grouping in self.groupings.items()},
            "predicted": {
                "cosine": _listed(self.predicted.cosine),
                "affinity": _listed(self.predicted.affinity),
                "rank_correlation_with_pairs": dict(self.predicted.agreement),
            },
            "seconds": dict(self.seconds),
        }


def answers_of(study: Study) -> Answers:
    """Return what the finished cells of a study show."""
    completed = [(cell, done) for cell, done in study.finished if done.status == "completed"]
    names = frozenset(cell.name for cell, _ in completed)
    evidence = Evidence(study.directory / "runs", study.tasks, names)
    asked = list(comparisons(study.subject, study.arms))
    found = answered(asked, evidence, study.subject, study.settings.seeds)
    tasks = study.subject.tasks
    gains = _gains(found, of_pairs(tasks))
    groupings = {
        models: best
        for models in range(1, min(study.settings.models, len(tasks)) + 1)
        if (best := best_grouping(tasks, gains, models)) is not None
    }
    seconds: dict[str, list[float]] = {}
    for cell, done in completed:
        seconds.setdefault(cell.arm.name, []).append(done.spent.seconds)
    return Answers(
        tasks,
        study.subject.modalities,
        tuple(found),
        groupings,
        _predicted(study, gains),
        {arm: fmean(each) for arm, each in seconds.items()},
        len(study.finished) - len(completed),
    )


def of_pairs(tasks: Sequence[str]) -> Question:
    """Return the question that two tasks learned together answer: two tasks are all there are."""
    return "joint" if len(tasks) == 2 else "pairs"


def _gains(answers: Sequence[Answer], question: Question) -> dict[tuple[str, str], float]:
    return {
        (a.comparison.what, a.comparison.task): a.found.percent
        for a in answers
        if a.comparison.question == question and a.found is not None
    }


def _predicted(study: Study, gains: Matrix) -> Predicted:
    cosines: dict[tuple[str, str], list[float]] = {}
    affinities: dict[tuple[str, str], list[float]] = {}
    for seed in range(study.settings.seeds):
        metrics = RunDirectory(study.directory / "runs" / joint() / f"seed{seed}").metrics
        for relations in read_relations(metrics) if metrics.is_file() else ():
            _collect(relations.cosine, cosines)
            _collect(relations.affinity, affinities)
    means = [{pair: fmean(each) for pair, each in kind.items()} for kind in (cosines, affinities)]
    agreement = {}
    for name, mean in zip(("cosine", "affinity"), means, strict=True):
        pairs = [pair for pair in gains if pair in mean]
        if len(pairs) >= _FEWEST_PAIRS:
            found: Any = stats.spearmanr([gains[p] for p in pairs], [mean[p] for p in pairs])
            agreement[name] = float(found.statistic)
    return Predicted(means[0], means[1], agreement)


def _collect(
    measured: Mapping[str, Mapping[str, float]], found: dict[tuple[str, str], list[float]]
) -> None:
    for source, row in measured.items():
        for task, value in row.items():
            if source != task:
                found.setdefault((source, task), []).append(value)


def _entry(answer: Answer) -> dict[str, Any]:
    found = answer.found
    assert found is not None
    return {
        **asdict(answer.comparison),
        "seeds": found.seeds,
        "score": found.ours,
        "score_against": found.theirs,
        "difference": found.mean,
        "percent": found.percent,
        "standard_error": found.error,
        "interval": None if found.interval is None else list(found.interval),
        "p_value": found.p_value,
        "call": answer.call,
    }


def _listed(matrix: Matrix) -> list[dict[str, Any]]:
    return [{"from": a, "to": b, "value": value} for (a, b), value in matrix.items()]
