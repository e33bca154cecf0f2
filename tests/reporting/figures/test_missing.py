"""Pictures of missing modalities show the scores that they were given."""

from __future__ import annotations

from typing import Any

import pytest

from jlrun.reporting.figures.missing import contribution, missing
from tests.reporting.figures.test_figures import opened, overlapping_titles


def scores(digit: float, age: float | None) -> dict[str, Any]:
    return {"digit": {"accuracy": digit}, "age": {} if age is None else {"r2": age}}


FOUND = {
    "subsets": {
        "image": scores(0.6, None),
        "audio": scores(0.4, -0.2),
        "image+audio": scores(0.9, 0.5),
    },
    "rates": [
        {"rate": r, "test": scores(s, s / 2), "std": scores(0.01, 0.02)}
        for r, s in ((0.0, 0.9), (0.3, 0.8), (0.9, 0.5))
    ],
    "summary": {"digit": {"metric": "accuracy"}, "age": {"metric": "r2"}},
}
CONTRIBUTION = {
    task: {
        "metric": metric,
        "none": 0.1,
        "all": 0.9,
        "shapley": {"image": 0.5, "audio": 0.3},
        "ablation": {"image": 0.5, "audio": -0.1},
    }
    for task, metric in (("digit", "accuracy"), ("age", "r2"))
}


def widths(axes: Any) -> list[float]:
    return [bar.get_width() for bar in axes.patches]


def test_a_column_per_task_shows_rates_and_subsets() -> None:
    figure = missing(FOUND)
    opened(figure)
    assert overlapping_titles(figure) == []
    digit, age, digit_subsets, age_subsets = figure.axes
    assert [axes.get_title() for axes in (digit, age)] == ["digit", "age"]
    assert digit.lines[0].get_xdata() == pytest.approx([0, 30, 90])
    assert digit.lines[0].get_ydata() == pytest.approx([0.9, 0.8, 0.5])
    assert widths(digit_subsets) == pytest.approx([0.6, 0.4, 0.9])
    assert widths(age_subsets) == pytest.approx([-0.2, 0.5])
    names = [label.get_text() for label in digit_subsets.get_yticklabels()]
    assert names == ["without audio", "without image", "nothing left out"]


def test_contributions_are_two_bars_for_each_modality() -> None:
    figure = contribution(CONTRIBUTION)
    opened(figure)
    assert overlapping_titles(figure) == []
    for axes in figure.axes:
        assert widths(axes) == pytest.approx([0.5, 0.3, 0.5, -0.1])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["image", "audio"]


def test_what_was_never_missing_is_marked() -> None:
    strange = {"never_missing": ["audio"]}
    marked = contribution({task: {**each, **strange} for task, each in CONTRIBUTION.items()})
    names = [label.get_text() for label in marked.axes[0].get_yticklabels()]
    assert names == ["image", "audio *"]
    for figure, note in ((marked, "* in (nearly)"), (missing({**FOUND, **strange}), "audio: in")):
        opened(figure)
        assert figure.get_supxlabel().startswith(note)
    assert missing(FOUND).get_supxlabel() == contribution(CONTRIBUTION).get_supxlabel() == ""
