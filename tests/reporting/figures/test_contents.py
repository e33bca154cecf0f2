"""Inputs of every kind are shown as people read them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jlrun.data.specs import AudioSpec, ImageSpec, SeriesSpec, Spec, TabularSpec, TextSpec
from jlrun.reporting.figures.contents import content_of, shown_modalities
from jlrun.reporting.figures.numbers import number_format, plain_number
from jlrun.reporting.figures.samples import Sample, samples

IMAGE = ImageSpec(1, 4, 4, (0.5,), (0.5,))
TEXT = TextSpec(("a",), 3)
TABLE = TabularSpec(("price", "size"), (1e6, 0.0), (2e5, 1.0), ("k",), (("x", "y"),))
CASES: dict[str, tuple[Spec, Tensor]] = {
    "image": (IMAGE, torch.rand(1, 4, 4)),
    "audio": (AudioSpec(9, 100), torch.rand(9)),
    "text": (TEXT, torch.tensor([2, 1, 0])),
    "tabular": (TABLE, torch.tensor([0.5, torch.nan, 2.0])),
    "series": (
        SeriesSpec(4, 2, (0.0, 0.0), (1.0, 1.0)),
        torch.tensor([[0.0, torch.nan], [1.0, 2.0]]),
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_every_kind_is_drawn(kind: str) -> None:
    spec, x = CASES[kind]
    content = content_of(x, spec)
    samples([Sample(content, "yes", "no", 0.7, False)]).canvas.draw()
    assert (content == "price: 1100000; k: y") == (kind == "tabular")


def test_a_row_without_cells() -> None:
    assert content_of(torch.tensor([torch.nan, torch.nan, 0.0]), TABLE) == "nothing"


def test_images_come_before_texts_and_cells() -> None:
    assert [*shown_modalities({"table": TABLE, "photo": IMAGE, "words": TEXT})] == ["photo"]
    assert [*shown_modalities({"table": TABLE, "words": TEXT})] == ["words", "table"]
    assert [*shown_modalities({"sound": AudioSpec(9, 100)})] == ["sound"]


def test_prices_are_written_as_prices() -> None:
    assert number_format([75_000, 2_048_200])(966_000.4) == "966,000"
    assert number_format([20, 60])(41.26) == "41.3"
    assert number_format([0.001, 0.002])(0.00151) == "0.00151"
    assert number_format([1.0, 1.0])(-0.0001) == "0.00"
    assert number_format([1e-12, 3e-12])(2e-12) == "2.00e-12"
    assert number_format([])(2.0) == "2.00"


@pytest.mark.parametrize(
    ("value", "text"),
    [(2021.0, "2021"), (1133700.2, "1133700"), (0.25, "0.25"), (188.99999, "189"), (-0.0, "0")],
)
def test_cells_have_no_exponents(value: float, text: str) -> None:
    assert plain_number(value) == text
