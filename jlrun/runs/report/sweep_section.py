"""Section of a report on a sweep: its variants, with scores over seeds."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from jlrun.errors import UserError
from jlrun.files.atomic import REWRITE, reading
from jlrun.files.bounded_text import read_yaml
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.formats import MISSING, format_percent, format_score
from jlrun.runs.listing.found import Found, counts
from jlrun.runs.report.charts import Bar, bar_chart
from jlrun.runs.report.content import Chart, Section, Table
from jlrun.runs.sweeps.records import Group, Spread, group_by_overrides, labels, read_jobs
from jlrun.runs.sweeps.significance import LEAST_SEEDS, LEVEL, differences
from jlrun.runs.sweeps.summary import GAIN, OBJECTIVES

MOST_VARIANTS = 40  # in a chart
_NOTE = "Mean ± standard deviation over seeds. Selection is by the validation score."


def sweep_section(sweep: Found, name: str, anchor: str) -> Section:
    """Return the section of a sweep."""
    groups = group_by_overrides(read_jobs(sweep.directory))
    key, names = labels(groups)
    question = "Which variant is best?" if key == "sweep" else f"Which {key} is best?"
    return Section(
        anchor=anchor,
        title=name,
        status=counts(sweep.runs),
        question=question,
        sentences=tuple(_sentences(groups, names)),
        tables=(_table(groups, names, key),) if groups else (),
        charts=tuple(_charts(groups, names)),
        commands=_command(sweep),
    )


def _command(sweep: Found) -> tuple[str, ...]:
    with suppress(UserError), reading(RunDirectory(sweep.directory).sweep_config, REWRITE):
        content = read_yaml(RunDirectory(sweep.directory).sweep_config)
        texts = [str(text) for text in content["hydra"]["overrides"]["task"]]
        return (shlex.join(["jlrun", "--multirun", *texts]),)
    return ()


def _sentences(groups: Sequence[Group], names: Sequence[str]) -> Iterator[str]:
    """Yield which variant is best, for each set of variants that learn the same."""
    if not any(group.num_completed for group in groups):
        yield "No job completed."
        return
    problems = dict.fromkeys(group.problem for group in groups)
    for problem in problems:
        known = [
            Ranked(name, group, *found)
            for name, group in zip(names, groups, strict=True)
            if group.problem == problem and (found := _objective(group)) is not None
        ]
        ranked = sorted(known, key=lambda each: -each.spread.mean)
        if not ranked:
            yield "There is no validation score to choose a variant by."
        elif len({each.criterion for each in ranked}) == 1:
            where = f" ({' '.join(problem)})" if len(problems) > 1 else ""
            yield from _ranking(ranked, where)


@dataclass(frozen=True)
class Ranked:
    """A variant with what it is ranked by."""

    name: str
    group: Group
    criterion: str
    spread: Spread


def _objective(group: Group) -> tuple[str, Spread] | None:
    """Return what selected the weights, and its value; None where nothing did."""
    return next((pair for pair in group.scores.items() if pair[0].startswith(OBJECTIVES)), None)


def _ranking(ranked: Sequence[Ranked], where: str) -> Iterator[str]:
    best, *others = ranked
    shown = f"{best.criterion} {_score(best.spread)}"
    if not others:
        yield f"{best.name} has no other variant to compare with{where}: {shown}."
        return
    yield f"{best.name} is the best on validation{where}: {shown}."
    behind = format_score(best.spread.mean - others[0].spread.mean)
    yield f"{others[0].name} is {behind} behind; {_significance(ranked)}."


def _significance(ranked: Sequence[Ranked]) -> str:
    """Return which of the other variants the best one differs from, by the test of a sweep."""
    criterion, groups = ranked[0].criterion, [each.group for each in ranked]
    p_values = [differences(groups, [criterion])[i, criterion] for i in range(1, len(ranked))]
    how = f"a paired t-test over seeds at {LEVEL:.0%}, Holm-corrected"
    if all(p is None for p in p_values):
        most = max(group.num_completed for group in groups)
        if most < LEAST_SEEDS:
            seeds = "one seed does" if most == 1 else f"{most} seeds do"
            return f"{seeds} not say whether others would agree"
        return "there is no spread between seeds, or too few in common, to test it by"
    beaten = [each.name for each, p in zip(ranked[1:], p_values, strict=True) if _is_sure(p)]
    if not beaten:
        return f"none differs significantly from the best ({how})"
    if len(beaten) == len(p_values):
        return f"the best differs significantly from all others ({how})"
    open_ones = [each.name for each in ranked[1:] if each.name not in beaten]
    return f"the best does not differ significantly from {', '.join(open_ones)} ({how})"


def _is_sure(p_value: float | None) -> bool:
    return p_value is not None and p_value <= LEVEL


def _table(groups: Sequence[Group], names: Sequence[str], key: str) -> Table:
    tasks = dict.fromkeys(pair for group in groups for pair in group.primary.items())
    objective = dict.fromkeys(next(iter(g.scores), "") for g in groups if g.scores)
    columns = [
        *((name, name) for name in objective),
        *((f"test {task} {metric}", f"test/{task}/{metric}") for task, metric in tasks),
        ("gain (Δm)", GAIN),
        ("train s", "cost/train_seconds"),
    ]
    rows = [
        (
            label,
            f"{group.num_completed} of {len(group.jobs)}",
            *(_cell(group.scores.get(score), score) for _, score in columns),
        )
        for label, group in zip(names, groups, strict=True)
    ]
    header = (key, "completed", *(title for title, _ in columns))
    return Table(header, tuple(rows), "Variants", _NOTE)


def _cell(spread: Spread | None, name: str) -> str:
    if spread is None:
        return MISSING
    if name == GAIN:
        tail = "" if spread.std is None else f" ± {spread.std:.1f}"
        return f"{format_percent(spread.mean)}{tail}"
    return f"{spread.mean:.1f}" if name.startswith("cost/") else _score(spread)


def _score(spread: Spread) -> str:
    tail = "" if spread.std is None else f" ± {spread.std:.3f}"
    return f"{format_score(spread.mean)}{tail}"


def _charts(groups: Sequence[Group], names: Sequence[str]) -> list[Chart]:
    tasks = dict.fromkeys(pair for group in groups for pair in group.primary.items())
    wanted = [(f"Test {task} {m}", f"test/{task}/{m}", True) for task, m in tasks]
    wanted.append(("Gain over the baseline", GAIN, False))
    charts = []
    for title, score, dots in wanted:
        bars = [
            Bar(label, spread.mean, _ends(spread))
            for label, group in zip(names, groups, strict=True)
            if (spread := group.scores.get(score)) is not None
        ]
        unit = title.rpartition(" ")[2] if dots else "Δm in %"
        if len(bars) > 1:
            charts.append(bar_chart(title, bars[:MOST_VARIANTS], unit, dots))
    return charts


def _ends(spread: Spread) -> tuple[float, float] | None:
    return None if spread.std is None else (spread.mean - spread.std, spread.mean + spread.std)
