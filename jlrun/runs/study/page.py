"""Page of a study: Markdown with its answers, tables, plan and what was not reached."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

from jlrun.files.atomic import write_text
from jlrun.reporting.recorders.figure_files import FigureFileRecorder
from jlrun.reporting.recorders.formats import MISSING, format_percent, format_score, format_seconds
from jlrun.runs.study.comparisons import ENSEMBLE, Answer
from jlrun.runs.study.figure import matrix_figure
from jlrun.runs.study.sentences import sentences
from jlrun.wording import counted

if TYPE_CHECKING:
    from jlrun.runs.study.answers import Answers
    from jlrun.runs.study.study import Study

PAGE = "study.md"
MARKS = {"better": " ▲", "worse": " ▼"}
TABLES = {  # title, and what its second column holds
    "joint": ("All tasks jointly, against each alone", "with"),
    "pairs": ("Two tasks together, against each alone", "with"),
    "transfer": ("One task after another, against it alone", "after"),
    "modalities": ("All modalities, against one alone", "alone"),
    ENSEMBLE: ("Ensemble of a model for each modality, against all in one model", "arm"),
    "weightings": ("Weightings, against equal weights", "weighting"),
    "few": ("Few rows: after the other tasks, against from scratch", "rows"),
    "pretraining": ("Self-supervised pretraining, against none", "arm"),
}
COLUMNS = ("score", "reference", "difference", "95 % interval", "relative", "seeds")


def write_page(study: Study, answers: Answers) -> None:
    """Write ``study.md`` and ``figures/tasks.png`` into the study's folder."""
    drawn = matrix_figure(answers)
    if drawn is not None:
        FigureFileRecorder(study.directory / "figures").figure("tasks", drawn, step=0)
    write_text(study.directory / PAGE, "\n".join(_lines(study, answers, drawn is not None)) + "\n")


def _lines(study: Study, answers: Answers, drawn: bool) -> Iterator[str]:
    settings, subject = study.settings, study.subject
    yield from ("# Does learning jointly help?", "")
    yield from (f"- {sentence}" for sentence in sentences(answers))
    yield from (
        "",
        f"Tasks {', '.join(subject.tasks)}; modalities {', '.join(subject.modalities)}; "
        f"{counted(subject.train_rows, 'training row')}. Every fit has "
        f"{counted(subject.epochs, 'epoch')} at most, "
        f"with batches of {subject.batch_size}; {counted(settings.seeds, 'seed')}, each with its "
        "own splits.",
        "",
        "Differences are those of test scores, turned so that larger is better, paired over seeds "
        "and test rows, with 95 % intervals. ▲ better and ▼ worse hold with the correction of "
        "Benjamini and Hochberg over all comparisons of this page.",
    )
    if drawn:
        yield from ("", "![gains of tasks from each other](figures/tasks.png)")
    for table, (title, what) in TABLES.items():
        found = [
            a
            for a in answers.all
            if a.found and table_of(a.comparison.question, a.comparison.what) == table
        ]
        if found:
            yield from ("", f"## {title}", "", *_table(found, what))
    yield from _agreement(answers)
    yield from ("", "## Cost", "", "| arm | seconds a run |", "|---|---|")
    yield from (f"| {unquote(arm)} | {seconds:.1f} |" for arm, seconds in answers.seconds.items())
    yield from _left_out(study)
    command = shlex.join(["jlrun", "study", *study.overrides])
    yield from ("", "## Again", "", f"    {command}")


def table_of(question: str, what: str) -> str:
    """Return the table of ``TABLES`` that a comparison stands in."""
    return ENSEMBLE if what == ENSEMBLE and question == "modalities" else question


def by_arm(names: Sequence[str]) -> list[str]:
    """Return names of cells, ``arm/seedN``, as arms with how many seeds of each."""
    seeds = Counter(unquote(name.rpartition("/")[0]) for name in names)
    return [f"{arm} ({counted(count, 'seed')})" for arm, count in seeds.items()]


def _table(found: Sequence[Answer], what: str) -> Iterator[str]:
    yield f"| task | {what} | {' | '.join(COLUMNS)} |"
    yield "|---|---|---|---|---|---|---|---|"
    for answer in found:
        each = answer.found
        assert each is not None
        ends = each.interval
        interval = MISSING if ends is None else f"{ends[0]:+.3f} … {ends[1]:+.3f}"
        mark = MARKS.get(str(answer.call), "")
        cells = (
            answer.comparison.task,
            answer.comparison.what,
            format_score(each.ours),
            format_score(each.theirs),
            f"{each.mean:+.3f}{mark}",
            interval,
            format_percent(each.percent),
            str(each.seeds),
        )
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _agreement(answers: Answers) -> Iterator[str]:
    found = answers.predicted
    if not found.cosine:
        return
    yield from ("", "## What gradients predicted", "")
    yield "| from | to | cosine of gradients | affinity |"
    yield "|---|---|---|---|"
    for pair, cosine in found.cosine.items():
        affinity = found.affinity.get(pair)
        shown = MISSING if affinity is None else f"{affinity:+.2e}"
        yield f"| {pair[0]} | {pair[1]} | {cosine:+.3f} | {shown} |"
    for name, correlation in found.agreement.items():
        yield from (
            "",
            f"Rank correlation of the {name} with the gains of pairs: {correlation:+.2f}",
        )


def _left_out(study: Study) -> Iterator[str]:
    failed = [(c.name, d.error) for c, d in study.finished if d.status != "completed"]
    if failed:
        yield from ("", "## Failed", "", *(f"- {name}: {error}" for name, error in failed))
    if study.missing:
        spent = format_seconds(study.spent.seconds)
        yield from (
            "",
            f"## Not reached by the budget ({study.settings.budget}; {spent} spent)",
            "",
        )
        yield from (f"- {arm}" for arm in by_arm(study.missing))
    if study.refused:
        yield from ("", "## Not possible on this data", "")
        yield from (f"- {name}: {why}" for name, why in study.refused.items())
