"""Page of a table: means with intervals, paired differences, cost, and what it says in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from benchmarks.tables.declared import Table
from benchmarks.tables.sheet import Sheet
from jlrun.runs.sweeps.significance import LEAST_SEEDS, holm, paired_p_value

BySeed = Mapping[int, float]


def page(table: Table, sheet: Sheet, command: str, machine: Mapping[str, Any]) -> str:
    """Return the page of a table as Markdown."""
    parts = [f"# {table.title}", f"    {command}", table.about, scores_table(table, sheet)]
    seeds = sorted({entry.seed for entry in sheet.entries})
    parts.append(_seeds_text(seeds))
    if table.figure is not None and len(seeds) >= LEAST_SEEDS:
        parts.append(f"![{table.title}]({table.name}.png)")
    if table.reference is not None:
        parts += [f"## Difference from {table.reference}", differences_table(table, sheet)]
        parts.append(
            "Mean paired difference over seeds and its 95 % interval. p: paired t-test, two-sided, "
            "Holm-corrected over all comparisons of this table; bold below 0.05."
        )
    if sheet.tuning:
        parts += ["## Choices", _choices_text(table), _choices_table(sheet)]
    parts += ["## Conclusion", table.conclusion or "Not written yet."]
    if sheet.missing:
        parts += ["## Missing", "Not in the table:", "\n".join(f"- {m}" for m in sheet.missing)]
    runs, seconds = sheet.seconds()
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    parts += [
        "## Cost",
        f"{runs} runs, {seconds / 60:.0f} minutes of training by the clock, on one thread of "
        f"{machine['processor']}, {machine['cores']} cores that other work kept busy; "
        f"Python {machine['python']}, {versions}.",
    ]
    return "\n\n".join(parts) + "\n"


def _seeds_text(seeds: Sequence[int]) -> str:
    if len(seeds) < LEAST_SEEDS:
        return f"Seeds: {', '.join(map(str, seeds))}; too few for an interval."
    return (
        f"Mean over {len(seeds)} seeds ({', '.join(map(str, seeds))}) ± half of its 95 % interval "
        f"(Student's t over seeds; none of fewer than {LEAST_SEEDS}); of fewer seeds where some "
        "are missing."
    )


def scores_table(table: Table, sheet: Sheet) -> str:
    """Return the table of means."""
    scores = sheet.scores()
    rows = [
        [row, *(_mean(table, scores.get(column, {}).get(row, {})) for column in table.columns)]
        for row in table.rows
    ]
    return markdown([table.unit, *table.columns], rows)


def differences_table(table: Table, sheet: Sheet) -> str:
    """Return the table of paired differences from the reference row."""
    assert table.reference is not None
    scores = sheet.scores()
    pairs: dict[tuple[str, str], list[float]] = {}
    p_values: dict[tuple[str, str], float] = {}
    for column in table.columns:
        reference = scores.get(column, {}).get(table.reference, {})
        for row in table.rows:
            own = scores.get(column, {}).get(row, {})
            seeds = sorted(own.keys() & reference.keys())
            if row == table.reference or not seeds:
                continue
            ours, theirs = [own[s] for s in seeds], [reference[s] for s in seeds]
            pairs[row, column] = [a - b for a, b in zip(ours, theirs, strict=True)]
            p = paired_p_value(ours, theirs)
            if p is not None:
                p_values[row, column] = p
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    rows = []
    for row in table.rows:
        if row != table.reference:
            cells = [
                _difference(table, pairs.get((row, column), []), adjusted.get((row, column)))
                for column in table.columns
            ]
            rows.append([row, *cells])
    return markdown(["points" if table.factor == 100 else table.unit, *table.columns], rows)


def interval(values: Sequence[float]) -> float | None:
    """Return half of the 95 % interval of the mean of values; None of fewer than three."""
    if len(values) < LEAST_SEEDS:
        return None
    from scipy.stats import t

    return float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _mean(table: Table, by_seed: BySeed) -> str:
    values = [table.factor * value for value in by_seed.values()]
    if not values:
        return "–"
    half = interval(values)
    mean = f"{fmean(values):.{table.digits}f}"
    return mean if half is None else f"{mean} ± {half:.{table.digits}f}"


def _difference(table: Table, differences: Sequence[float], p: float | None) -> str:
    if not differences:
        return "–"
    values = [table.factor * value for value in differences]
    mean, half = fmean(values), interval(values)
    text = f"{mean:+.{table.digits}f}"
    if half is None:
        return text
    text += f" ({mean - half:+.{table.digits}f} to {mean + half:+.{table.digits}f})"
    if p is None:
        return text
    text += f", p {p:.3f}" if p >= 0.001 else ", p < 0.001"
    return f"**{text}**" if p < 0.05 else text


def _choices_text(table: Table) -> str:
    seeds = ", ".join(map(str, table.tuning_seeds))
    return (
        f"{table.chosen_by} over seeds {seeds}, which are not in the table; the best of "
        "each row is in bold, and was run with the seeds of the table."
    )


def _choices_table(sheet: Sheet) -> str:
    lines = []
    for row, choices in sheet.tuning.items():
        best = max(choices.values(), default=0.0)
        told = [
            f"**{name}: {value:.4f}**" if value == best else f"{name}: {value:.4f}"
            for name, value in choices.items()
        ]
        lines.append([row, ", ".join(told) or "not run"])
    return markdown(["row", "choices"], lines)
