"""Section of a report on one run."""

from __future__ import annotations

from collections.abc import Iterator

from jlrun.errors import UserError
from jlrun.files.atomic import REWRITE, reading
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.closing_lines import closing_facts
from jlrun.reporting.recorders.formats import format_score
from jlrun.reporting.recorders.result_table import full_table
from jlrun.reporting.recorders.verdict import verdict
from jlrun.runs.listing.found import COMPLETED, DAMAGED, Found
from jlrun.runs.report.charts import Bar, bar_chart
from jlrun.runs.report.content import Chart, Section, Table
from jlrun.runs.report.curves import run_curves
from jlrun.runs.report.setup import command_of, setup_facts

MOST_CLASSES = 100  # in a table
_SUBJECT = {
    "transfer": "Does transfer help",
    "multitask": "Does multi-task learning help",
    "multimodal": "Does fusing modalities help",
}
_INTERVALS = "± half of the 95 % interval over the test rows. The test split was read once."


def run_section(run: Found, name: str, anchor: str, points: int | None) -> Section:
    """Return the section of a run; what is damaged is left out, and stated.

    Args:
        run: the run.
        name: its title.
        anchor: its id in the page.
        points: of a curve, at most; None: no charts.
    """
    file = RunDirectory(run.directory).result
    try:
        with reading(file, REWRITE):
            return _section(run, name, anchor, points)
    except UserError as error:
        return Section(anchor, name, DAMAGED, error=" ".join(str(error).split()))


def question_of(run: Found) -> str:
    """Return what a run asks."""
    subject = _SUBJECT.get(str(run.result.get("mode")), "Does learning jointly help")
    tasks = list(run.result.get("test") or {})
    return f"{subject}{' on ' + _listed(tasks) if 0 < len(tasks) <= 6 else ''}?"


def _section(run: Found, name: str, anchor: str, points: int | None) -> Section:
    result = run.result
    done = run.status == COMPLETED and bool(result.get("test"))
    charts, notes = _charts(run, points) if points is not None else ([], [])
    return Section(
        anchor=anchor,
        title=name,
        status=run.status,
        question=question_of(run) if done else "",
        sentences=tuple(verdict(result) or [_without_baselines(run)]) if done else (),
        tables=tuple(_tables(run)) if done else (),
        charts=tuple(charts),
        facts={**(closing_facts(result) if done else {}), **setup_facts(run)},
        commands=(command_of(run),) if run.overrides else (),
        error=run.error,
        notes=tuple(notes),
    )


def _without_baselines(run: Found) -> str:
    return "This run has no baselines, so that it shows no gain."


def _tables(run: Found) -> Iterator[Table]:
    table = full_table(run.result)
    note = _INTERVALS if run.result.get("intervals") and run.kind == "run" else ""
    yield Table(table.header, table.rows, "Test scores", note)
    per_class = run.result.get("per_class") or {}
    for task, classes in per_class.items():
        if len(classes) <= MOST_CLASSES:
            rows = [
                (
                    str(label),
                    *(format_score(found[key]) for key in ("precision", "recall", "f1")),
                    f"{found['rows']:,}",
                )
                for label, found in classes.items()
            ]
            header = ("class", "precision", "recall", "F1", "test rows")
            yield Table(header, tuple(rows), f"Classes of {task}", folded=True)


def _charts(run: Found, points: int | None) -> tuple[list[Chart], list[str]]:
    charts = gain_charts(run)
    metrics = RunDirectory(run.directory).metrics
    try:
        curves = run_curves(metrics, run.result.get("primary") or {}, points or 2)
    except UserError as error:
        return charts, [" ".join(str(error).split())]
    return [*charts, *curves], []


def gain_charts(run: Found) -> list[Chart]:
    """Return bars of the gains of each task, with intervals; none without baselines."""
    gain = run.result.get("gain") or {}
    percents = gain.get("per_task") or {}
    ends = gain.get("interval") or {}
    bars = [
        Bar(task, value, tuple(ends[task]) if task in ends else None)
        for task, value in percents.items()
        if value is not None
    ]
    if len(bars) > 1 and gain.get("delta_m_percent") is not None:
        bars.append(Bar("mean (Δm)", gain["delta_m_percent"]))
    title = f"Gain over {gain['against']}" if isinstance(gain.get("against"), str) else "Gain"
    return [bar_chart(title.replace("_", " "), bars, "gain in %")] if bars else []


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
