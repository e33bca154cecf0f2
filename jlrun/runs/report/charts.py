"""Charts of a report by Plotly, with values on hover; colours of text and lines are the page's."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jlrun.extras import import_extra
from jlrun.reporting.figures.curves import MARKED_POINTS
from jlrun.reporting.figures.style import PALETTE
from jlrun.runs.report.content import Chart, Key
from jlrun.wording import shorten

LONGEST_NAME, LONGEST_HOVER = 28, 60  # characters of a label
_ROW = 26  # pixels of a horizontal bar
_DARK = {"bgcolor": "#222222", "bordercolor": "#222222", "font": {"color": "#ffffff"}}
_STROKES = ("solid", "dotted", "dashed")
_DASHES = {"solid": "solid", "dotted": "dot", "dashed": "dash"}  # of CSS, of Plotly
_RANGE = ((0.0, "#b2182b"), (0.5, "#f7f7f7"), (1.0, "#2166ac"))


@dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
        name: in the legend, once for all of that name.
        x, y: its points.
        colour: number of its colour; from the last on they begin again, with other strokes.
        main: drawn thicker and solid; others are dashed.
        lower: whether it belongs to the lower of two charts with one horizontal axis.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int
    main: bool = True
    lower: bool = False

    @property
    def key(self) -> Key:
        """Its entry in the legend."""
        again, place = divmod(self.colour, len(PALETTE))
        stroke = _STROKES[min(again, 2)] if self.main else "dashed"
        return Key(self.name, PALETTE[place], stroke)


@dataclass(frozen=True)
class Bar:
    """A value with the ends of its interval, if that is known."""

    name: str
    value: float
    ends: tuple[float, float] | None = None


def plotly() -> Any:
    """Return Plotly's module of figures.

    Raises:
        UserError: if it is not installed, with the extra that brings it.
    """
    return import_extra("plotly.graph_objects", "report", "report")


def plain(text: str) -> str:
    """Return a text that Plotly shows as it is: it reads labels as a kind of HTML."""
    return html.escape(text, quote=False)


def curve_chart(title: str, lines: Sequence[Line], upper: str, lower: str = "") -> Chart:
    """Return curves over optimizer steps, in one chart or in two above each other."""
    layout: dict[str, Any] = {
        "xaxis": {"title": {"text": "optimizer steps"}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": plain(upper)}, "automargin": True},
        "showlegend": False,
    }
    if lower:
        layout["xaxis"]["anchor"] = "y2"
        layout["yaxis"]["domain"] = [0.54, 1]
        layout["yaxis2"] = {**layout["yaxis"], "title": {"text": plain(lower)}, "domain": [0, 0.46]}
    keys = tuple({line.name: line.key for line in lines}.values())
    chart = _chart(title, [_curve(line) for line in lines], layout, 400 if lower else 280)
    return replace(chart, legend=keys if len(keys) > 1 else ())


def _curve(line: Line) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(line.x) <= MARKED_POINTS else "lines",
        "x": list(line.x),
        "y": list(line.y),
        "name": plain(shorten(line.name, LONGEST_HOVER)),
        "yaxis": "y2" if line.lower else "y",
        "line": {
            "color": line.key.colour,
            "width": 2 if line.main else 1.3,
            "dash": _DASHES[line.key.stroke],
        },
        "marker": {"size": 5},
        "hovertemplate": "step %{x}<br>%{y:.4g}<extra>%{fullData.name}</extra>",
    }


def bar_chart(title: str, bars: Sequence[Bar], unit: str, dots: bool = False) -> Chart:
    """Return horizontal bars, or dots of scores, which need not begin at 0; the first on top."""
    places = list(range(len(bars)))
    ends = [bar.ends or (bar.value, bar.value) for bar in bars]
    names = [plain(bar.name) for bar in bars]
    hover = [
        f"%{{customdata}}<br>{bar.value:.4g} {unit}"
        + ("" if bar.ends is None else f", {bar.ends[0]:.4g} to {bar.ends[1]:.4g}")
        + "<extra></extra>"
        for bar in bars
    ]
    gains = [PALETTE[0] if bar.value >= 0 or dots else PALETTE[1] for bar in bars]
    trace: dict[str, Any] = {
        "type": "scatter" if dots else "bar",
        "x": [bar.value for bar in bars],
        "y": places,
        "customdata": names,
        "hovertemplate": hover,
        "marker": {"color": gains, **({"size": 9} if dots else {})},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [high - bar.value for bar, (_, high) in zip(bars, ends, strict=True)],
            "arrayminus": [bar.value - low for bar, (low, _) in zip(bars, ends, strict=True)],
            "color": "#808080",
            "thickness": 1.3,
        },
    }
    trace |= {"mode": "markers"} if dots else {"orientation": "h"}
    layout = {
        "xaxis": {"title": {"text": unit}, "zeroline": not dots},
        "yaxis": {
            "tickvals": places,
            "ticktext": [plain(shorten(bar.name, LONGEST_NAME)) for bar in bars],
            "range": [len(bars) - 0.4, -0.6],
            "automargin": True,
        },
        "showlegend": False,
    }
    return _chart(title, [trace], layout, 90 + _ROW * len(bars))


def matrix_chart(
    title: str,
    names: Sequence[str],
    cells: Mapping[tuple[str, str], tuple[float, str, str]],
    axes: tuple[str, str],
) -> Chart:
    """Return a heat map of names by names.

    Args:
        title: of the chart.
        names: of rows and columns.
        cells: (row, column) -> value, text, text on hover.
        axes: titles of columns and rows.
    """
    bound = max((abs(value) for value, _, _ in cells.values()), default=1.0) or 1.0
    none = (None, "", "")
    grid = [[cells.get((row, column), none) for column in names] for row in names]
    places = list(range(len(names)))
    trace = {
        "type": "heatmap",
        "x": places,
        "y": places,
        "z": [[cell[0] for cell in row] for row in grid],
        "text": [[plain(cell[1]) for cell in row] for row in grid],
        "customdata": [[plain(cell[2]) for cell in row] for row in grid],
        "texttemplate": "%{text}",
        "hovertemplate": "%{customdata}<extra></extra>",
        "hoverongaps": False,
        "colorscale": _RANGE,
        "zmin": -bound,
        "zmax": bound,
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
    }
    ticks = {
        "tickvals": places,
        "ticktext": [plain(shorten(name, LONGEST_NAME // 2)) for name in names],
        "automargin": True,
        "showgrid": False,
        "zeroline": False,
    }
    layout = {
        "xaxis": {**ticks, "title": {"text": axes[0], "standoff": 8}},
        "yaxis": {**ticks, "title": {"text": axes[1], "standoff": 8}, "autorange": "reversed"},
    }
    return _chart(title, [trace], layout, 150 + 46 * len(names))


def _chart(title: str, traces: Sequence[Any], layout: Mapping[str, Any], height: int) -> Chart:
    common = {
        "template": "none",
        "height": height,
        "margin": {"l": 56, "r": 16, "t": 12, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12},
        "hoverlabel": _DARK,
        "hovermode": "closest",
    }
    figure = plotly().Figure(data=list(traces), layout={**common, **layout})
    return Chart(title, figure.to_plotly_json(), height)
