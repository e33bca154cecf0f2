"""Names in pictures are what they are: no formulas, and none left out."""

import io

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.text import Text
from PIL import Image

from jlrun.reporting.figures.canvas import legend_label, plain_figure
from jlrun.reporting.figures.classes import confusion
from jlrun.reporting.figures.samples import Sample, samples

FORMULAS = [
    r"$\frac{",
    "$x_1^{2$",
    "a$b$c",
    "$$",
    r"\$",
    "^_{}",
    "%#&~",
    r"$\undefined$",
    "_a",
    "日本",
]


def drawn(figure: object) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")  # pyright: ignore[reportAttributeAccessIssue]
    return buffer.getvalue()


def test_names_of_classes_and_titles_are_no_formulas() -> None:
    size = len(FORMULAS)
    figure = confusion(torch.ones(size, size, dtype=torch.long), FORMULAS, r"$\frac{")
    drawn(figure)
    (axes, *_) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == FORMULAS
    assert not any(t.get_parse_math() for t in figure.findobj(Text) if isinstance(t, Text))


@pytest.mark.parametrize("name", FORMULAS)
def test_samples_of_such_classes_are_drawn(name: str) -> None:
    row = Sample(name, name, name, 0.5)
    assert drawn(samples([row, row], name))


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("of_figure", [False, True])
def test_every_place_of_a_figure(name: str, of_figure: bool) -> None:
    figure = plain_figure(layout="constrained")
    axes = figure.subplots()
    axes.plot([1, 2], [1, 2], label=legend_label(name))
    axes.set_title(name)
    axes.set_xlabel(name)
    axes.set_xticks([1, 2], [name, name])
    axes.annotate(name, (1, 1))
    axes.text(1, 1, name)
    figure.suptitle(name)
    if of_figure:
        figure.legend()
    else:
        axes.legend()
    assert drawn(figure)
    legend = figure.legends[0] if of_figure else axes.get_legend()
    assert legend is not None
    assert [text.get_text().strip() for text in legend.get_texts()] == [name]


def test_a_dollar_sign_is_drawn_as_one() -> None:
    def ink(text: str) -> int:
        figure = plain_figure(figsize=(2, 1))
        figure.text(0.1, 0.5, text)
        with Image.open(io.BytesIO(drawn(figure))) as image:
            return int((np.asarray(image.convert("L")) < 128).sum())

    assert ink("$a$") > ink("a") + 20


def test_no_setting_of_the_process_is_changed() -> None:
    before = matplotlib.rcParams["text.parse_math"]
    drawn(plain_figure())
    assert matplotlib.rcParams["text.parse_math"] is before


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_ground_is_white_and_opaque_whatever_the_users_settings(kind: str) -> None:
    buffer = io.BytesIO()
    dark = {"savefig.transparent": True, "figure.facecolor": "black", "savefig.facecolor": "black"}
    with matplotlib.rc_context(dark):
        plain_figure(figsize=(1, 1)).savefig(buffer, format=kind)
    if kind == "svg":
        assert "fill: #ffffff" in buffer.getvalue().decode()
        return
    corner = Image.open(io.BytesIO(buffer.getvalue())).convert("RGBA").getpixel((0, 0))
    assert corner == (255, 255, 255, 255)


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_figure_with_a_layout_is_drawn_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = plain_figure(figsize=(3, 2), layout="constrained")
    axes = figure.subplots()
    draws: list[object] = []
    draw = type(axes).draw

    def counted(self: Axes, renderer: RendererBase) -> None:
        draws.append(self)
        draw(self, renderer)

    monkeypatch.setattr(type(axes), "draw", counted)
    with matplotlib.rc_context({"figure.constrained_layout.use": True}):
        figure.savefig(io.BytesIO(), format=kind)
    assert draws == [axes]
