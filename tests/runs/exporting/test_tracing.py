"""What programs are made of, each by itself: searches, rows that are made up, differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jlrun.data.specs import AudioSpec, ImageSpec, SeriesSpec, TabularSpec, TextSpec
from jlrun.engine import Engine
from jlrun.models.encoders import BagOfEmbeddings
from jlrun.models.fusions import Transformer
from jlrun.models.heads import Linear
from jlrun.runs.calibrated import Calibrated
from jlrun.runs.exporting.checking import difference
from jlrun.runs.exporting.program import Exportable, Program
from jlrun.runs.exporting.runnable import output_names
from jlrun.runs.exporting.sample_rows import sample_masks, sample_rows
from jlrun.runs.exporting.tracing import searched, trace
from jlrun.runs.saved_model import SavedModel
from jlrun.tasks import Multiclass, Regression
from jlrun.tasks.objective import Objective
from tests.toy import CPU, SPEC, TASKS, ToyEncoder, hard_model


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9])
@pytest.mark.parametrize("right", [False, True])
def test_a_search_by_comparisons_is_that_of_pytorch(count: int, right: bool) -> None:
    random = torch.Generator().manual_seed(count)
    ordered = torch.randint(0, 9, (count,), generator=random).sort().values  # with equal values
    values = torch.randint(-2, 12, (4, 5), generator=random)
    assert torch.equal(
        searched(ordered, values, right=right), torch.searchsorted(ordered, values, right=right)
    )
    rows = torch.randint(0, 9, (4, count), generator=random).sort(dim=1).values
    side = "right" if right else "left"
    assert torch.equal(
        searched(rows, values, side=side), torch.searchsorted(rows, values, side=side)
    )


def test_rows_that_are_made_up_hold_what_real_ones_may() -> None:
    specs = {
        "image": ImageSpec(3, 4, 5, (0.5,) * 3, (0.2,) * 3),
        "audio": AudioSpec(100, 8000),
        "text": TextSpec(("a", "b"), 6),
        "cells": TabularSpec(("n", "m"), (5.0, -1e6), (1.0, 1e3), ("c",), (("x", "y"),)),
        "series": SeriesSpec(8, 2, (0.0, 1.0), (1.0, 2.0)),
    }
    rows = sample_rows(specs, 40)
    shapes = [tuple(rows[name].shape[1:]) for name in specs]
    assert shapes == [(3, 4, 5), (100,), (6,), (3,), (8, 2)]
    assert rows["image"].dtype == torch.uint8
    assert rows["audio"].abs().max() <= 1
    assert rows["text"].unique().tolist() == [0, 1, 2, 3]
    assert rows["text"][-1].sum() == 0
    assert rows["cells"][:, 2].unique().tolist() == [0, 1, 2]
    numbers = rows["cells"][:, 1]
    assert abs(numbers[~numbers.isnan()].mean() + 1e6) < 1e3
    assert 0 < numbers.isnan().float().mean() < 0.5
    assert not rows["series"][:, 0].isnan().all()
    assert torch.equal(sample_rows(specs, 40)["text"], rows["text"])
    assert not torch.equal(sample_rows(specs, 40, seed=1)["text"], rows["text"])


def test_every_row_has_a_modality_and_some_lack_one() -> None:
    masks = torch.stack([*sample_masks(("a", "b", "c"), 50).values()], dim=1)
    assert masks[0].all()
    assert masks.any(dim=1).all()
    assert not masks.all(dim=0).any()
    assert sample_masks((), 5) == {}


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_numbers_differ_in_standard_deviations_of_their_scale() -> None:
    linear = Regression().in_units(100.0, 20.0)
    assert difference(linear, column(100, 131), column(100, 130)) == pytest.approx(1 / 20)
    log = Regression().in_units(0.0, 2.0, 10.0)  # ln(1 + y / 10) / 2, so that tenfold is far
    far = difference(log, column(10.0), column(0.0))
    assert far == pytest.approx(0.6931471805599453 / 2)


def test_what_is_no_number_differs_from_numbers_alone() -> None:
    task, nan, inf = Multiclass(), float("nan"), float("inf")
    assert difference(task, column(nan, inf, 0.5), column(nan, inf, 0.5)) == 0
    assert difference(task, column(nan), column(0.5)) == inf
    assert difference(task, column(inf), column(-inf)) == inf
    assert difference(task, column(0.5), column(0.5, 0.5)) == inf


def test_outputs_have_names_that_no_input_has() -> None:
    assert output_names(["text", "price"], ["text", "text_present"]) == ["text_predicted", "price"]


def test_no_graph_chooses_between_truth_values() -> None:
    """Runtimes of ONNX have no such operator; padding of tokens of absent rows would need it."""
    texts = TextSpec(("a", "b", "c"), 4)
    encoders = {"text": BagOfEmbeddings(texts, width=8), "x": ToyEncoder()}
    widths = {name: encoder.token_features for name, encoder in encoders.items()}
    fusion = Transformer(widths, width=8, heads=2, depth=1)
    heads = {spec.name: Linear(8, spec.num_outputs) for spec in TASKS}
    model = hard_model(encoders, fusion, heads).eval()
    scored = tuple(Objective(spec.name, "input", spec, spec.name) for spec in TASKS)
    specs, chosen = {"text": texts, "x": SPEC}, Calibrated(scored, {})
    saved = SavedModel(model, Engine(CPU), specs, scored)
    graph = trace(Exportable(Program(model, specs, chosen), specs, chosen, saved)).graph
    choices = [n for n in graph.nodes if "where" in str(n.target) or "masked_fill" in str(n.target)]
    assert choices
    assert all(node.meta["val"].dtype != torch.bool for node in choices)
