"""The WiSE-FT curve: in the order of α, each point named, the selected one marked."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jlrun.reporting.figures.wise_ft import CURVE, SELECTED, wise_ft
from jlrun.reporting.recorders.figure_files import png_bytes

POINTS = [
    {"alpha": 1.0, "source": 0.6, "target": 0.75},
    {"alpha": 0.0, "source": 0.9, "target": 0.5},
    {"alpha": 0.25, "source": 0.88, "target": 0.7, "selected": 1.0},
    {"alpha": 0.5, "source": 0.8, "target": 0.78, "selected": 0.0},
]


def only(figure: Figure) -> Axes:
    assert len(png_bytes(figure)) > 1000
    (axes,) = figure.axes
    return axes


def drawn(axes: Axes, colour: str) -> list[list[float]]:
    """The points of all lines of a colour."""
    lines = [line for line in axes.lines if line.get_color() == colour]
    return [point for line in lines for point in np.asarray(line.get_xydata()).tolist()]


def test_the_curve_goes_from_the_source_to_the_fine_tuned_weights() -> None:
    axes = only(wise_ft(POINTS, "accuracy"))
    assert drawn(axes, CURVE) == [[0.9, 0.5], [0.88, 0.7], [0.8, 0.78], [0.6, 0.75]]
    assert [text.get_text() for text in axes.texts] == ["α=0", "α=0.25", "α=0.5", "α=1"]
    assert axes.get_xlabel() == "source: test accuracy"
    assert axes.get_ylabel() == "target: test accuracy"
    assert not axes.xaxis_inverted()


def test_the_selected_point_is_marked_and_in_the_legend() -> None:
    axes = only(wise_ft(POINTS))
    assert drawn(axes, SELECTED) == [[0.88, 0.7]]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["selected: α=0.25"]


@pytest.mark.parametrize("points", [[], POINTS[:1]])
def test_nothing_selected_is_nothing_marked(points: list[dict[str, float]]) -> None:
    axes = only(wise_ft(points))
    assert drawn(axes, SELECTED) == []
    assert axes.get_legend() is None
    assert len(axes.texts) == len(points)


def test_better_is_further_up_and_right_where_less_is_better() -> None:
    axes = only(wise_ft(POINTS, "mae"))
    assert axes.xaxis_inverted()
    assert axes.yaxis_inverted()


def test_points_without_a_score_are_left_out() -> None:
    axes = only(wise_ft([*POINTS, {"alpha": 0.75, "source": nan, "target": 0.8}]))
    assert len(axes.texts) == len(drawn(axes, CURVE)) == len(POINTS)
