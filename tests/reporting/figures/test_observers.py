"""Samples of every kind of input are drawn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.specs import AudioSpec, ImageSpec, SeriesSpec, Spec, TabularSpec, TextSpec
from jlrun.reporting.figures.observers import SampleObserver
from jlrun.tasks import Multiclass, TaskSpec
from jlrun.tasks.objective import Objective
from jlrun.training.recorder import Recorder

TASK = TaskSpec("label", Multiclass(), ("no", "yes"))
TABLE = TabularSpec(("age", "size"), (40.0, 0.0), (10.0, 1.0), ("k",), (("x", "y"),))
CASES: dict[str, tuple[Spec, Tensor]] = {
    "image": (ImageSpec(1, 4, 4, (0.5,), (0.5,)), torch.rand(2, 1, 4, 4)),
    "audio": (AudioSpec(9, 100), torch.rand(2, 9)),
    "text": (TextSpec(("a",), 3), torch.tensor([[2, 1, 0], [0, 0, 0]])),
    "tabular": (TABLE, torch.tensor([[0.5, torch.nan, 2.0], [torch.nan, torch.nan, 0.0]])),
    "series": (
        SeriesSpec(4, 2, (0.0, 0.0), (1.0, 1.0)),
        torch.tensor([[[0.0, torch.nan], [1.0, 2.0]], [[torch.nan] * 2] * 2]),
    ),
}


class Kept(Recorder):
    """Keeps figures."""

    def __init__(self) -> None:
        self.figures: dict[str, Any] = {}

    def figure(self, tag: str, figure: Any, step: int) -> None:
        self.figures[tag] = figure


@pytest.mark.parametrize("kind", CASES)
def test_a_sample_of_every_kind_is_drawn(kind: str) -> None:
    spec, x = CASES[kind]
    recorder = Kept()
    observer = SampleObserver(TASK, kind, spec, recorder)
    batch = Batch({kind: x}, {"label": torch.tensor([0, 1])})
    observer.see(
        Objective("label", "dataset", TASK, "label"), batch, torch.tensor([[0.9, 0.1], [0.8, 0.2]])
    )
    observer.finish(1)
    figure = recorder.figures["samples/predictions"]
    figure.canvas.draw()
    if kind == "tabular":
        shown = [text.get_text().replace("\n", " ") for axes in figure.axes for text in axes.texts]
        assert shown == ["age: 45; k: y", "nothing"]
