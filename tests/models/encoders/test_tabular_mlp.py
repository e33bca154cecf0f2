from __future__ import annotations

import torch

from jlrun.data.specs import TabularSpec
from jlrun.models.encoders import TabularMLP

SPEC = TabularSpec(("a", "b"), (0.0,) * 2, (1.0,) * 2, ("k",), (("x", "y"),))


def test_reads_numbers_marks_of_missing_ones_and_embeddings() -> None:
    encoder = TabularMLP(SPEC, hidden=[], embedding=3)
    table = encoder.categories.table
    assert table is not None
    found = encoder(torch.tensor([[0.5, torch.nan, 2.0]]))
    expected = torch.cat([torch.tensor([0.5, 0.0, 0.0, 1.0]), 10 * table.weight[2]])
    torch.testing.assert_close(found[0], expected)


def test_a_missing_number_is_not_the_mean() -> None:
    torch.manual_seed(0)
    encoder = TabularMLP(SPEC)
    mean, missing = torch.tensor([[0.0, 0.0, 1.0], [0.0, torch.nan, 1.0]])
    assert not encoder(mean[None]).allclose(encoder(missing[None]))
