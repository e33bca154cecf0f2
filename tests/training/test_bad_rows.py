"""Rows that are named when a run ends by a number that is not finite."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from jlrun.data.batch import Batch
from jlrun.ranks.world import ALONE, World
from jlrun.training.bad_rows import bad_rows
from tests.toy import toy_batch, toy_model, toy_phase


def with_bad(*rows: int, count: int = 8) -> Batch:
    batch = toy_batch(count)
    x = batch.inputs["x"].clone()
    x[list(rows)] = torch.inf
    return replace(batch, inputs={"x": x})


@pytest.mark.parametrize(
    ("rows", "size", "words"),
    [
        ((), 2, ""),
        ((5,), 1, "row 5 of the batch of 'dataset'"),
        ((5,), 3, "row 5 of the batch of 'dataset' (rank 1)"),
        ((0, 6, 7), 3, "rows 0, 6, 7 of the batch of 'dataset' (rank 0, 2)"),
        (range(1, 8), 2, "rows 1, 2, 3, 4, 5 and 2 more of the batch of 'dataset' (rank 0, 1)"),
        (range(8), 2, ""),
    ],
)
def test_rows_and_ranks(rows: tuple[int, ...], size: int, words: str) -> None:
    world = World(size=size) if size > 1 else ALONE
    found = bad_rows(toy_model(), toy_phase(), {"dataset": with_bad(*rows)}, world)
    assert found == words


def test_rows_that_lack_the_modality_do_not_count() -> None:
    batch = replace(with_bad(5), present={"x": torch.arange(8) != 5})
    assert bad_rows(toy_model(), toy_phase(), {"dataset": batch}, ALONE) == ""


def test_losses_of_finite_inputs() -> None:
    model, batch = toy_model(), toy_batch()
    for parameter in model.parameters():
        parameter.data.mul_(100)
    x = batch.inputs["x"].clone()
    x[2] = 3e38
    large = {"dataset": replace(batch, inputs={"x": x})}
    assert bad_rows(model, toy_phase(), large, ALONE) == "row 2 of the batch of 'dataset'"
