"""Section of a report on a sweep: its variants, with scores over seeds."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress

from jlrun.errors import UserError
from jlrun.files.atomic import REWRITE, reading
from jlrun.files.bounded_text import read_yaml
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.formats import MISSING, format_percent, format_score
from jlrun.runs.listing.found import Found, counts
from jlrun.runs.report.charts import Bar, bar_chart
from jlrun.runs.report.content import Chart, Section, Table
from jlrun.runs.sweeps.records import Group, Spread, group_by_overrides, labels, read_jobs

MOST_VARIANTS = 40  # in a chart
GAIN = "gain/delta_m_percent"
_NOTE = "Mean ± standard deviation over seeds. Selection is by the validation score."


def sweep_section(sweep: Found, name: str, anchor: str) -> Section:
    """Return the section of a sweep."""
    groups = group_by_overrides(read_jobs(sweep.directory))
    key, names = labels(groups)
    best = _best_first(groups)
    question = "Which variant is best?" if key == "sweep" else f"Which {key} is best?"
    return Section(
        anchor=anchor,
        title=name,
        status=counts(sweep.runs),
        question=question,
        sentences=tuple(_sentences(groups, names, best)),
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


def _objective(group: Group) -> Spread | None:
    """Return the first score, which is what selected the weights."""
    return next(iter(group.scores.values()), None)


def _best_first(groups: Sequence[Group]) -> list[int]:
    known = [(i, s.mean) for i, group in enumerate(groups) if (s := _objective(group)) is not None]
    return [i for i, _ in sorted(known, key=lambda pair: -pair[1])]


def _sentences(groups: Sequence[Group], names: Sequence[str], best: Sequence[int]) -> list[str]:
    if not best:
        return ["No job completed."]
    criterion = next(iter(groups[best[0]].scores))
    first = _objective(groups[best[0]])
    assert first is not None
    said = [f"{names[best[0]]} is the best on validation: {criterion} {_score(first)}."]
    if len(best) < 2:
        return said
    second = _objective(groups[best[1]])
    assert second is not None
    ahead, spread = first.mean - second.mean, max(first.std or 0.0, second.std or 0.0)
    behind = f"{names[best[1]]} is {format_score(ahead)} behind"
    if first.std is None or second.std is None:
        return [*said, f"{behind}; one seed does not say whether another would agree."]
    verb = "less" if ahead <= spread else "more"
    return [*said, f"{behind}, {verb} than the standard deviation between seeds."]


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
