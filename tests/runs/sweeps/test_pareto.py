"""Pictures of a sweep: every variant and the baselines are drawn, the front stands out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from jlrun.reporting.recorders.figure_files import png_bytes
from jlrun.runs.sweeps.comparison import Comparison, compare
from jlrun.runs.sweeps.pareto import BASELINE, FRONT, OTHERS, TITLES, pareto
from jlrun.runs.sweeps.records import Group, JobRecord, Spread, group_by_overrides


def comparison(*scores: Sequence[float], metric: str = "accuracy") -> Comparison:
    """Two seeds of each variant, 0.01 apart; the baseline scores 0.5, or -0.5 as an error."""
    baseline = 0.5 if metric == "accuracy" else -0.5
    jobs = []
    for i, row in enumerate(scores):
        for seed in (0, 1):
            named = {f"task{t}": score + 0.01 * seed for t, score in enumerate(row)}
            numbers = {
                f"{split}/{task}/{metric}": score
                for split in ("val", "test")
                for task, score in named.items()
            }
            numbers |= {f"baseline/{task}/{metric}": baseline for task in named}
            job = JobRecord(
                f"{i}{seed}",
                "completed",
                (f"weighting=w{i}", f"seed={seed}"),
                seed,
                numbers,
                dict.fromkeys(named, metric),
            )
            jobs.append(job)
    groups: list[Group] = group_by_overrides(jobs)
    (found,) = compare(groups)
    return found


def drawn(figure: Figure, colour: str) -> int:
    """How many points both panels draw in a colour, as markers without a line."""
    markers = [
        line
        for axes in figure.axes
        for line in axes.lines
        if line.get_marker() == "o" and line.get_color() == colour
    ]
    return sum(len(line.get_xdata()) for line in markers)  # pyright: ignore[reportArgumentType]


def test_two_tasks_are_scatter_plots_with_the_baselines_of_the_test_split_as_lines() -> None:
    scores = comparison((0.9, 0.2), (0.4, 0.8), (0.3, 0.1))
    figure = pareto(scores, ["a", "b", "c"], ["weighting"])
    assert [axes.get_title() for axes in figure.axes] == [*TITLES.values()]
    assert drawn(figure, FRONT) == 2 * 2
    assert drawn(figure, OTHERS) == 2 * 1
    dashed = [
        [list(line.get_data()[0]) for line in axes.lines if line.get_color() == BASELINE]
        for axes in figure.axes
    ]
    assert dashed == [[], [[0.5, 0.5], [0, 1]]]
    for axes in figure.axes:
        assert [text.get_text() for text in axes.texts] == ["b", "a"], "of the front alone"
        assert axes.get_xlabel() == "task0 accuracy"
    assert figure.get_supxlabel() == "swept: weighting"
    assert len(png_bytes(figure)) > 1000


def test_the_front_is_a_line_in_the_scores_that_chose_it() -> None:
    """In test scores it need not be one: here they are those of validation, turned round."""
    found = comparison((0.9, 0.2), (0.4, 0.8))
    groups = tuple(replace(group, scores=turned(group.scores)) for group in found.groups)
    figure = pareto(replace(found, groups=groups), ["a", "b"])
    validation, test = (
        [list(line.get_data()[1]) for line in axes.lines if line.get_linewidth() == 0.8]
        for axes in figure.axes
    )
    assert validation == [pytest.approx([0.805, 0.205])]
    assert test == []


def turned(scores: Mapping[str, Spread]) -> dict[str, Spread]:
    """Return scores with those on the test split below 1 as far as they were above 0."""
    return {
        name: Spread(1 - s.mean, s.std, s.count) if name.startswith("test") else s
        for name, s in scores.items()
    }


def test_better_is_further_up_where_less_is_better() -> None:
    figure = pareto(comparison((0.9, 0.2), (0.4, 0.8), metric="mae"), ["a", "b"])
    for axes in figure.axes:
        assert axes.xaxis_inverted()
        assert axes.yaxis_inverted()


@pytest.mark.parametrize("metric", ["accuracy", "mae"])
def test_more_tasks_are_parallel_coordinates(metric: str) -> None:
    sign = 1 if metric == "accuracy" else -1
    rows = [(0.9, 0.2, 0.5), (0.4, 0.8, 0.5), (0.3, 0.1, 0.5)]
    signed = [tuple(sign * x for x in row) for row in rows]
    figure = pareto(comparison(*signed, metric=metric), ["a", "b", "c"])
    _, axes = figure.axes
    first, second, third, baseline = axes.lines
    assert list(third.get_ydata())[1] == 0  # pyright: ignore[reportArgumentType]
    assert first.get_linewidth() == second.get_linewidth() > third.get_linewidth()
    assert baseline.get_linestyle() == "--"
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["a", "b", "baseline"]
    assert len(axes.get_xticks()) == 3
    assert len(png_bytes(figure)) > 1000


def test_many_variants_do_not_crowd_the_legend() -> None:
    rows = [(i / 40, 1 - i / 40, 0.5) for i in range(40)]
    figure = pareto(comparison(*rows), [f"weights={i}" for i in range(40)])
    assert len(figure.legends[0].get_texts()) == 13
