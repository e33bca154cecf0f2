"""What a study found, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jlrun.reporting.recorders.formats import format_percent, format_seconds
from jlrun.runs.study.arms import joint
from jlrun.runs.study.comparisons import ENSEMBLE, Answer
from jlrun.runs.study.differences import Difference
from jlrun.runs.study.settings import Question
from jlrun.wording import counted

if TYPE_CHECKING:
    from jlrun.runs.study.answers import Answers

_HELP = {"better": "helps", "worse": "hurts"}


def sentences(answers: Answers) -> list[str]:
    """Return the answers, the most general first."""
    return [
        *_jointly(answers),
        *_between(answers, "pairs", "learned together with"),
        *_between(answers, "transfer", "after"),
        *_groups(answers),
        *_modalities(answers),
        *_methods(answers),
        *_few(answers),
        *_pretraining(answers),
        *_one_seed(answers),
    ]


def _jointly(answers: Answers) -> Iterator[str]:
    found = answers.of("joint")
    if not found:
        return
    called = [a for a in found if a.call in _HELP]
    if not called:
        yield (
            f"Learning {_listed(answers.tasks)} jointly makes no difference that these runs can "
            f"show: {_differences(found)}."
        )
        return
    parts = [
        f"{_HELP[call]} {_differences(some)}"
        for call in _HELP
        if (some := [a for a in called if a.call == call])
    ]
    rest = [a.comparison.task for a in found if a.call not in _HELP]
    tail = f"; no difference for {_listed(rest)}" if rest else ""
    yield f"Learning all tasks jointly {' and '.join(parts)}{tail}."


def _between(answers: Answers, question: Question, how: str) -> Iterator[str]:
    found = answers.of(question)
    if not found:
        return
    called = [a for a in found if a.call in _HELP]
    for a in called:
        better = "better" if a.call == "better" else "worse"
        yield f"{a.comparison.task} is {better} {how} {a.comparison.what}: {_shown(a.found)}."
    if not called:
        of = "pair of tasks" if question == "pairs" else "order of two tasks (one, then the other)"
        yield f"No {of} differs from each task alone ({len(found)} compared)."


def _groups(answers: Answers) -> Iterator[str]:
    if len(answers.tasks) < 3:
        return
    shown = set()
    helping = any(a.call == "better" for a in answers.of("pairs"))
    for models, best in answers.groupings.items():
        if best.groups in shown:
            continue
        shown.add(best.groups)
        groups = " | ".join(" + ".join(group) for group in best.groups)
        doubt = "" if helping else ", though no single pair stands out of the noise"
        yield (
            f"With at most {models} model{'s' if models > 1 else ''}, learn {groups}: "
            f"{format_percent(best.gain)} on average, estimated from the pairs{doubt}."
        )


def _modalities(answers: Answers) -> Iterator[str]:
    found = [a for a in answers.of("modalities") if a.comparison.what != ENSEMBLE]
    for modality in answers.modalities:
        of_it = [a for a in found if a.comparison.what == modality]
        better = [a for a in of_it if a.call == "better"]
        worse = [a for a in of_it if a.call == "worse"]
        if better:
            yield f"All modalities beat {modality} alone on {_differences(better)}."
        if worse:
            yield f"{modality} alone beats all modalities on {_differences(worse)}."
        if of_it and not better and not worse:
            yield f"{modality} alone is as good as all modalities: {_differences(of_it)}."
    ensembles = [a for a in answers.of("modalities") if a.comparison.what == ENSEMBLE]
    for call, said in (("better", "beats"), ("worse", "is behind")):
        some = [a for a in ensembles if a.call == call]
        if some:
            yield f"The ensemble of models with one modality each {said} the fused model on " + (
                f"{_differences(some)}."
            )


def _methods(answers: Answers) -> Iterator[str]:
    found = answers.of("weightings")
    base = answers.seconds.get(joint())
    for name in dict.fromkeys(a.comparison.what for a in found):
        of_it = [a for a in found if a.comparison.what == name]
        called = [a for a in of_it if a.call in _HELP]
        took = answers.seconds.get(joint(name))
        cost = f" at {took / base:.2f} times the time" if base and took else ""
        if not called:
            yield f"weighting={name} makes no difference to equal weights{cost}."
        for a in called:
            how = _HELP[str(a.call)]
            yield f"weighting={name} {how} {a.comparison.task}{cost}: {_shown(a.found)}."


def _few(answers: Answers) -> Iterator[str]:
    for a in answers.of("few"):
        if a.call in _HELP:
            yield (
                f"With {a.comparison.what} of the rows, the other tasks first {_HELP[str(a.call)]} "
                f"{a.comparison.task}: {_shown(a.found)}."
            )
    found = answers.of("few")
    if found and not any(a.call in _HELP for a in found):
        yield "With few rows, too, the other tasks first make no difference."


def _pretraining(answers: Answers) -> Iterator[str]:
    found = answers.of("pretraining")
    called = [a for a in found if a.call in _HELP]
    for a in called:
        yield f"Pretraining {_HELP[str(a.call)]} {a.comparison.task}: {_shown(a.found)}."
    if found and not called:
        yield "Pretraining makes no difference."


def _one_seed(answers: Answers) -> Iterator[str]:
    single = sum(a.call == "one seed" for a in answers.all)
    if single:
        yield (
            f"{single} comparison{'s have' if single > 1 else ' has'} one seed alone, which says "
            "nothing about what another would give."
        )


def _differences(found: Sequence[Answer]) -> str:
    return ", ".join(f"{a.comparison.task} ({_shown(a.found)})" for a in found)


def _shown(found: Difference | None) -> str:
    assert found is not None
    ends = found.interval
    width = "" if ends is None else f" ± {(ends[1] - ends[0]) / 2:.3g}"
    return f"{found.mean:+.3g}{width}, {format_percent(found.percent)}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def cost_line(seconds: float, runs: int) -> str:
    """Return what the study took."""
    return f"{counted(runs, 'run')} in {format_seconds(seconds)}"
