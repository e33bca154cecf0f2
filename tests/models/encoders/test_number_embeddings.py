"""Embeddings of numbers against their authors' package."""

from __future__ import annotations

import pytest
import torch

from jlrun.data.specs import TabularSpec
from jlrun.models.encoders import PeriodicMLP
from jlrun.models.encoders.periodic_mlp import PeriodicEmbedding
from jlrun.models.encoders.piecewise_mlp import NumberEmbedding

NUMBERS = torch.tensor([[0.3, -1.2], [1.0, 0.0], [-0.9, 1.7]])
NONE_MISSING = torch.zeros(3, 2, dtype=torch.bool)


@torch.no_grad()
@pytest.mark.parametrize("shared", [False, True])
def test_periodic_embeddings_equal_those_of_the_package(shared: bool) -> None:
    library = pytest.importorskip("rtdl_num_embeddings")
    torch.manual_seed(0)
    oracle = library.PeriodicEmbeddings(2, 5, n_frequencies=7, lite=shared)
    layer = PeriodicEmbedding(2, 5, 7, 0.01, shared=shared)
    assert layer.frequency.abs().max() <= 0.03
    layer.frequency.copy_(oracle.periodic.weight)
    weight = oracle.linear.weight
    layer.weight.copy_(weight.mT if shared else weight)
    layer.bias.copy_(oracle.linear.bias)
    torch.testing.assert_close(layer(NUMBERS, NONE_MISSING), oracle(NUMBERS))


@torch.no_grad()
def test_piecewise_embeddings_equal_those_of_the_package_between_the_outermost_edges() -> None:
    library = pytest.importorskip("rtdl_num_embeddings")
    torch.manual_seed(0)
    edges = ((-1.0, -0.5, 0.4, 1.0), (-1.5, 0.2, 2.0))
    oracle = library.PiecewiseLinearEmbeddings(
        [torch.tensor(column) for column in edges], 5, activation=False, version="B"
    )
    layer = NumberEmbedding(TabularSpec(("a", "b"), (0.0, 0.0), (1.0, 1.0), edges=edges), 5)
    oracle.linear.weight.normal_()
    weight = oracle.linear.weight.clone()
    # The package keeps the last bin of every number at the end, with unused ones before it.
    weight[1, [1, 2]] = weight[1, [2, 1]]
    assert layer.bins is not None
    layer.bins.copy_(weight)
    layer.slope.copy_(oracle.linear0.weight)
    layer.offset.copy_(oracle.linear0.bias)
    torch.testing.assert_close(layer(NUMBERS, NONE_MISSING), oracle(NUMBERS))


@torch.no_grad()
def test_waves_begin_with_frequencies_of_the_scale_and_a_missing_number_is_zeros() -> None:
    """Of σ = 0.5, the standard deviation of draws within 3 σ is 0.4933."""
    torch.manual_seed(0)
    layer = PeriodicEmbedding(2, 3, 20_000, 0.5, shared=True)
    assert float(layer.frequency.std()) == pytest.approx(0.4933, abs=0.01)
    encoder = PeriodicMLP(TabularSpec(("a", "b"), (0.0,) * 2, (1.0,) * 2), numbers=3)
    features = encoder.eval()(torch.tensor([[torch.nan, 0.5]]))[0]
    assert features.shape == (8,)
    assert features[:3].tolist() == [0.0] * 3
    assert features[6:].tolist() == [1.0, 0.0]
