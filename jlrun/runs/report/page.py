"""Page of a report: what it holds of many runs, and its file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from jlrun.errors import UserError
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.figures.compared import NamedCurves
from jlrun.reporting.recorders.formats import MISSING, format_percent, format_score
from jlrun.reporting.recorders.metrics_csv import read_curves
from jlrun.runs.listing.found import COMPLETED, PRUNED, RUNNING, Found, counts
from jlrun.runs.listing.table import shared_overrides
from jlrun.runs.report.charts import Bar, bar_chart
from jlrun.runs.report.content import Chart, Page, Section, Table
from jlrun.runs.report.curves import shared_curves
from jlrun.runs.report.run_section import run_section
from jlrun.runs.report.study_section import study_section
from jlrun.runs.report.sweep_section import sweep_section
from jlrun.wording import counted

MOST_DRAWN = 40  # runs with charts of their own, and bars of gains
MOST_SHARED = 12  # runs in one chart of curves
FEW = 10  # runs, up to which curves keep `POINTS`
POINTS, FEWER = 400, 60  # of a curve
_VAL, _GAIN = "val", "gain/delta_m_percent"


def page_of(entries: Sequence[Found], root: Path) -> Page:
    """Return the page on runs and groups.

    Args:
        entries: in their order.
        root: folder that names are relative to.
    """
    runs = [run for entry in entries for run in entry.all_runs]
    names = {id(run): _run_name(run, e, root) for e in entries for run in e.all_runs}
    anchors = {id(run): f"run-{number}" for number, run in enumerate(runs, 1)}
    points = POINTS if len(runs) <= FEW else FEWER
    sections = tuple(
        run_section(run, names[id(run)], anchors[id(run)], points if i < MOST_DRAWN else None)
        for i, run in enumerate(runs)
    )
    lead = [_group(entry, i, root) for i, entry in enumerate(entries, 1) if entry.kind in GROUPS]
    if len(entries) == 1 and entries[0].kind == "folds":  # its result is what the page is about
        lead, sections = [sections[0]], sections[1:]
    if len(runs) != 1:
        lead.append(_overview(runs, names, anchors))
    failures = [(anchors[id(r)], names[id(r)], _why(r)) for r in runs if _is_failure(r)]
    now = datetime.now().astimezone()
    name = _page_name(entries, len(runs), root)
    asked = [section.question for section in (*lead, *sections) if section.question]
    return Page(
        title=asked[0] if len(entries) == 1 and asked else name,
        name=name,
        lead=tuple(lead),
        runs=sections,
        failures=tuple(failures),
        written=f"{now:%Y-%m-%d %H:%M %Z}, jlrun {version('jlrun')}",
    )


GROUPS = {"sweep": sweep_section, "study": study_section}


def _group(entry: Found, number: int, root: Path) -> Section:
    return GROUPS[entry.kind](entry, _name(entry.directory, root), f"group-{number}")


def _name(directory: Path, root: Path) -> str:
    name = os.path.relpath(directory, root)
    return directory.resolve().name if name == "." else name


def _run_name(run: Found, entry: Found, root: Path) -> str:
    """Return the path of a run; in a sweep with the overrides that not all of its jobs share."""
    name = _name(run.directory, root)
    if entry.kind != "sweep":
        return name
    shared = shared_overrides(entry)
    return " ".join([name, *(text for text in run.overrides if text not in shared)])


def _page_name(entries: Sequence[Found], count: int, root: Path) -> str:
    if len(entries) == 1:
        return _name(entries[0].directory, root)
    return f"{counted(count, 'run')} in {_name(root, root)}"


def _is_failure(run: Found) -> bool:
    return run.status not in (COMPLETED, RUNNING, PRUNED)


def _why(run: Found) -> str:
    return f"{run.status}: {run.error}" if run.error else run.status


def _overview(runs: Sequence[Found], names: dict[int, str], anchors: dict[int, str]) -> Section:
    """Return the section on all runs: a table, gains, and the curves of the best."""
    drawn = sorted(
        (run for run in runs if run.status == COMPLETED), key=lambda run: -(_val(run) or 0.0)
    )[:MOST_SHARED]
    rows = tuple((names[id(run)], *_cells(run)) for run in runs)
    header = ("run", "status", "validation", "test", "gain (Δm)")
    if not any(_GAIN in run.scores for run in runs):  # without baselines
        header, rows = header[:-1], tuple(row[:-1] for row in rows)
    return Section(
        anchor="all-runs",
        title="All runs",
        status=counts(tuple(runs)),
        tables=(Table(header, rows, anchors=tuple(anchors[id(run)] for run in runs)),)
        if runs
        else (),
        charts=(*_curves(drawn, names), *_gains(runs, names)),
        notes=tuple(_limits(len(runs), len(drawn))),
    )


def _cells(run: Found) -> tuple[str, ...]:
    tests = [
        f"{task} {format_score(run.scores.get(f'test/{task}/{metric}'))}"
        for task, metric in (run.result.get("primary") or {}).items()
        if run.scores
    ]
    shown = ", ".join(tests[:4]) + (", …" if len(tests) > 4 else "")
    gain = format_percent(run.scores[_GAIN]) if _GAIN in run.scores else MISSING
    return run.status, format_score(_val(run)), shown or MISSING, gain


def _val(run: Found) -> float | None:
    return (run.result.get("objective") or {}).get("value") if run.scores else None


def _gains(runs: Sequence[Found], names: dict[int, str]) -> list[Chart]:
    bars = [Bar(names[id(run)], run.scores[_GAIN]) for run in runs if _GAIN in run.scores]
    title = "Gain over the baselines, mean over tasks"
    return [bar_chart(title, bars[:MOST_DRAWN], "Δm in %")] if len(bars) > 1 else []


def _curves(runs: Sequence[Found], names: dict[int, str]) -> list[Chart]:
    found = []
    for run in runs:
        try:
            curves = read_curves(RunDirectory(run.directory).metrics)
        except UserError:
            continue  # its own section states it
        found.append(NamedCurves(names[id(run)], curves, run.result.get("primary") or {}))
    return shared_curves(found, POINTS if len(runs) <= FEW else FEWER)


def _limits(count: int, drawn: int) -> Iterator[str]:
    if not count:
        yield "There is no run here yet."
    if count > drawn >= MOST_SHARED:
        yield f"Curves are those of the {drawn} runs that are best on validation."
    if count > FEW:
        yield f"Curves are thinned to {FEWER} points."
    if count > MOST_DRAWN:
        yield f"Bars, and figures of single runs, are of the first {MOST_DRAWN} of {count} runs."
