"""The order of candidates, their ranks, and what the last line says of them."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes

from jlrun.errors import UserError
from jlrun.runs.ranking import TITLES
from jlrun.runs.ranking.candidates import Embedding
from jlrun.runs.ranking.feature_measures import logme
from jlrun.runs.ranking.figure import ranking_figure
from jlrun.runs.ranking.measures import leep, measure
from jlrun.runs.ranking.ranking import Row, rank
from jlrun.tasks import Multiclass, Multilabel, Regression


def row(name: str, kind: str = "run", **scores: float) -> Row:
    return Row(name, kind, 8, {**dict.fromkeys(TITLES), **scores}, {})


def positions(axes: Axes) -> dict[str, list[float]]:
    """Measure -> where its markers are drawn, the first row's first."""
    lines = {str(line.get_label()): np.asarray(line.get_xdata()) for line in axes.lines}
    return {label: x.tolist() for label, x in lines.items()}


THREE = [
    row("a", logme=0.1, h_score=3.0, leep=-1.0),
    row("b", kind="backbone", logme=0.3, h_score=2.0),
    row("u", kind="untrained", logme=0.2, h_score=9.0),
]


def test_the_largest_score_comes_first_and_the_smallest_rank() -> None:
    assert [r.name for r in rank("t", 9, THREE, "logme").rows] == ["b", "u", "a"]
    assert [r.name for r in rank("t", 9, THREE, "leep").rows] == ["a", "b", "u"]
    lower = [*THREE, row("c", logme=0.0, h_score=1.0)]
    ranking = rank("t", 9, lower, "mean_rank")
    assert [r.name for r in ranking.rows] == ["a", "b", "c", "u"]
    # a: 2nd and 1st, b: 1st and 2nd, c: last; LEEP, which b lacks, does not count.
    assert [r.mean_rank for r in ranking.rows] == [1.5, 1.5, 3, None]


def test_scores_at_their_bound_are_equal() -> None:
    bound = [row("a", logme=1.0, h_score=9.0 - 1e-13), row("b", logme=0.0, h_score=9.0 + 1e-13)]
    ranking = rank("t", 9, bound, "logme")
    assert [r.mean_rank for r in ranking.rows] == [1.25, 1.75]
    drawn = positions(ranking_figure([ranking]).axes[0])
    assert drawn["H-score"] == [0.5, 0.5]


def test_a_measure_that_nobody_has_cannot_sort() -> None:
    with pytest.raises(UserError, match="--by: 'nce' applies to no candidate on task 't'"):
        rank("t", 9, THREE, "nce")


def test_the_verdict_compares_with_the_untrained() -> None:
    assert rank("t", 9, THREE, "logme").verdict() == (
        "t: by LogME transfer from b; not ahead of an untrained network: a"
    )
    assert rank("t", 9, THREE, "h_score").verdict() == (
        "t: by H-score no candidate is ahead of u; expect little of a transfer"
    )
    assert rank("t", 9, THREE[:2], "mean_rank").verdict() == "t: by mean rank transfer from a"


def embedding(rows: int = 20) -> Embedding:
    rng = np.random.default_rng(0)
    heads = {name: rng.dirichlet(np.ones(3), rows).astype(np.float32) for name in ("x", "y")}
    return Embedding(rng.standard_normal((rows, 4)).astype(np.float32), heads)


def test_leep_and_nce_are_those_of_the_best_head() -> None:
    seen, labels = embedding(), np.arange(20) % 2
    scores = measure(seen, labels, Multiclass())
    each = {head: leep(p, labels) for head, p in seen.probabilities.items()}
    assert scores.values["leep"] == max(each.values())
    assert each[scores.heads["leep"]] == max(each.values())
    assert None not in scores.values.values()


def test_values_and_labels_have_logme_alone() -> None:
    seen, values = embedding(), np.linspace(-1, 1, 20, dtype=np.float32)
    scores = measure(seen, values, Regression())
    assert scores.values["logme"] == logme(seen.features, values[:, None])
    # The second label, which no row has, is left out of the mean.
    labels = np.stack([values > 0, values > 2, values < 0.5], axis=1).astype(np.float32)
    several = measure(seen, labels, Multilabel())
    each = [logme(seen.features, labels[:, i : i + 1]) for i in (0, 2)]
    assert several.values["logme"] == pytest.approx(np.mean(each))
    for found in (scores, several):
        assert {name for name, value in found.values.items() if value is not None} == {"logme"}


def test_each_measure_is_drawn_from_its_worst_to_its_best() -> None:
    figure = ranking_figure(
        [rank("first", 9, THREE, "logme"), rank("second", 9, THREE[:2], "leep")]
    )
    first, second = figure.axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["b", "u", "a"]
    drawn = positions(first)
    assert drawn["LogME"] == pytest.approx([1, 0.5, 0])
    assert drawn["H-score"] == pytest.approx([0, 1, 1 / 7])
    assert drawn["LEEP"] == [0.5], "the only one that has it"
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["first", "second"]
    assert [text.get_text() for text in figure.legends[0].texts] == ["LogME", "LEEP", "H-score"]
