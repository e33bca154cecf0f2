"""Piecewise linear embeddings of a table's numbers."""

from __future__ import annotations

import torch

from jlrun.data.specs import TabularSpec
from jlrun.models.encoders import PiecewiseMLP
from jlrun.models.encoders.piecewise_mlp import NumberEmbedding

# Two columns with bins of their own; in standard units those of the first are -1, 0 and 2.
SPEC = TabularSpec(("a", "b"), (10.0, 0.0), (5.0, 1.0), edges=((5.0, 10.0, 20.0), (0.0, 4.0)))


def embedding(spec: TabularSpec) -> NumberEmbedding:
    """Return an embedding whose output for a number is the sum of the shares of its bins."""
    found = NumberEmbedding(spec, width=1)
    torch.nn.init.zeros_(found.slope)
    torch.nn.init.zeros_(found.offset)
    assert found.bins is not None
    torch.nn.init.ones_(found.bins)
    return found


def test_shares_of_bins_are_those_of_the_paper() -> None:
    """Eq. (1): 1 for bins below the number, the share of the way through its own, 0 above."""
    numbers = torch.tensor([[-3.0, 0.0], [-1.0, 1.0], [-0.5, 3.0], [1.0, 4.0], [9.0, 5.0]])
    found = embedding(SPEC)(numbers, numbers.isnan())[:, :, 0]
    assert found[:, 0].tolist() == [0.0, 0.0, 0.5, 1.5, 2.0]
    assert found[:, 1].tolist() == [0.0, 0.25, 0.75, 1.0, 1.0]


def test_embeddings_begin_as_lines() -> None:
    layer = NumberEmbedding(SPEC, width=3)
    numbers = torch.tensor([[0.5, 2.0]])
    wanted = numbers[:, :, None] * layer.slope + layer.offset
    torch.testing.assert_close(layer(numbers, numbers.isnan()), wanted)


def test_a_missing_number_is_zeros_with_a_flag() -> None:
    encoder = PiecewiseMLP(SPEC, numbers=2, hidden=[])
    features = encoder(torch.tensor([[torch.nan, 0.0]]))[0]
    assert features[:2].tolist() == [0.0, 0.0]
    assert features[4:].tolist() == [1.0, 0.0]


def test_without_known_quantiles_there_are_lines_alone() -> None:
    spec = TabularSpec(("a",), (0.0,), (1.0,))
    assert NumberEmbedding(spec, width=2).bins is None
    assert PiecewiseMLP(spec, numbers=0, hidden=[]).out_features == 2  # the number and its flag
