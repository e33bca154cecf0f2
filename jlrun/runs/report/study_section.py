"""Section of a report on a study, from its ``study.json``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from jlrun.errors import UserError
from jlrun.files.atomic import REWRITE, read_json, reading
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.formats import MISSING, format_percent, format_score, format_seconds
from jlrun.runs.listing.found import DAMAGED, Found, counts
from jlrun.runs.report.charts import matrix_chart
from jlrun.runs.report.content import Chart, Section, Table
from jlrun.runs.study.page import COLUMNS, MARKS, TABLES, by_arm, table_of
from jlrun.wording import counted

_QUESTION = "Does learning jointly help, where, and how much?"
_NOTE = (
    "Differences of test scores, turned so that larger is better, paired over seeds and test rows. "
    "▲ better and ▼ worse hold with the correction of Benjamini and Hochberg over all comparisons."
)

Entry = Mapping[str, Any]


def study_section(study: Found, name: str, anchor: str) -> Section:
    """Return the section of a study; one that is damaged states so."""
    file = RunDirectory(study.directory).study
    try:
        with reading(file, REWRITE):
            return _section(read_json(file), study, name, anchor)
    except UserError as error:
        message = " ".join(str(error).split())
        return Section(anchor, name, DAMAGED, _QUESTION, error=message)


def _section(content: Entry, study: Found, name: str, anchor: str) -> Section:
    finished = bool(content["finished"])
    sentences = [str(text) for text in content.get("sentences") or ()]
    found = content.get("comparisons") or []
    command = ["jlrun", "study", *map(str, content["overrides"])]
    return Section(
        anchor=anchor,
        title=name,
        status=counts(study.runs) if finished else f"unfinished: {counts(study.runs)}",
        question=_QUESTION,
        sentences=tuple(sentences or [_unanswered(finished)]),
        tables=tuple(_tables(content, found)),
        charts=tuple(_charts(content, found)),
        facts=_facts(content),
        commands=(shlex.join(command),),
        notes=(_NOTE,) if found else (),
    )


def _unanswered(finished: bool) -> str:
    if finished:
        return "Its answers are in study.md."
    return "The study has not come to its end: the same command goes on with it."


def _tables(content: Entry, found: Sequence[Entry]) -> Iterator[Table]:
    for table, (title, what) in TABLES.items():
        rows = tuple(
            _row(each)
            for each in found
            if table_of(str(each["question"]), str(each["what"])) == table
        )
        if rows:
            yield Table(("task", what, *COLUMNS), rows, title)
    seconds = content.get("seconds") or {}
    if seconds:
        rows = tuple((unquote(str(arm)), f"{value:.1f}") for arm, value in seconds.items())
        yield Table(("arm", "seconds a run"), rows, "Cost", folded=True)


def _row(found: Entry) -> tuple[str, ...]:
    ends = found["interval"]
    return (
        str(found["task"]),
        str(found["what"]),
        format_score(found["score"]),
        format_score(found["score_against"]),
        f"{found['difference']:+.3f}{MARKS.get(str(found['call']), '')}",
        MISSING if ends is None else f"{ends[0]:+.3f} to {ends[1]:+.3f}",
        format_percent(found["percent"]),
        str(found["seeds"]),
    )


def _charts(content: Entry, found: Sequence[Entry]) -> Iterator[Chart]:
    tasks = [str(task) for task in content["tasks"]]
    together = {"joint" if len(tasks) == 2 else "pairs": "learned together with"}
    for question, how in {**together, "transfer": "learned after"}.items():
        cells = {
            (str(each["what"]), str(each["task"])): _cell(each)
            for each in found
            if each["question"] == question
        }
        if cells:
            axes = ("task that gains", "the other task")
            yield matrix_chart(f"Gain of a task {how} another", tasks, cells, axes)


def _cell(found: Entry) -> tuple[float, str, str]:
    percent = format_percent(found["percent"]) + MARKS.get(str(found["call"]), "")
    ends = found["interval"]
    width = "" if ends is None else f", 95 % interval {ends[0]:+.3f} to {ends[1]:+.3f}"
    scores = f"{format_score(found['score'])} vs {format_score(found['score_against'])}"
    shown = found["percent"] if found["call"] in MARKS else 0.0  # colour: beyond noise alone
    return shown, percent, f"{found['task']}: {scores}, {found['call']}{width}"


def _facts(content: Entry) -> dict[str, list[str]]:
    cells, settings = content["cells"], content["settings"]
    spent = sum(float(cell["seconds"]) for cell in cells.values())
    refused = content.get("refused") or {}
    return {
        "tasks": [", ".join(map(str, content["tasks"]))],
        "modalities": [", ".join(map(str, content["modalities"]))],
        "budget": [
            f"{settings['budget']}; {counted(len(cells), 'run')} in {format_seconds(spent)}"
        ],
        "not reached": by_arm([str(name) for name in content.get("not_reached") or ()]),
        "not possible": [f"{name}: {why}" for name, why in refused.items()],
    }
