"""Fusions by products, against tensors formed in full and values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from jlrun.errors import UserError
from jlrun.models.fusions import FiLM, LowRank, Multiplicative, TensorProduct
from tests.models.fusions.test_values import FEATURES, PRESENT, assert_rows, fill

WIDTHS = {"image": 4, "audio": 3, "text": 2}


def features(count: int = 6) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        m: torch.randn(count, w, generator=generator, dtype=torch.float64)
        for m, w in WIDTHS.items()
    }


def with_one(x: Tensor) -> Tensor:
    return torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1)


def normed(x: Tensor) -> Tensor:
    mean, variance = x.mean(dim=1, keepdim=True), x.var(dim=1, correction=0, keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt()


def outer(parts: list[Tensor]) -> Tensor:
    """Return the tensor ``(B, D_1, D_2, D_3)`` of Zadeh et al., eq. (3)."""
    return torch.einsum("ba,bc,bd->bacd", *parts)


def test_low_rank_is_the_full_tensor_of_its_factors() -> None:
    """Liu et al., eqs. (2) to (4): h = W · Z + b with W = Σ_r ⊗_m w_m^r."""
    fusion, x = LowRank(WIDTHS, width=5, rank=3).double(), features()
    nn.init.normal_(fusion.bias)
    weights = torch.einsum("raO,rcO,rdO->acdO", *(fusion.factors[m] for m in WIDTHS))
    tensor = outer([with_one(f) for f in x.values()])
    expected = torch.einsum("bacd,acdO->bO", tensor, weights) + fusion.bias
    torch.testing.assert_close(fusion(x, {}), expected)


def test_factors_of_low_rank_are_trained() -> None:
    torch.manual_seed(0)
    fusion = LowRank({"image": 2, "audio": 1}, width=4, rank=2)
    before = {name: p.detach().clone() for name, p in fusion.named_parameters()}
    optimizer = torch.optim.SGD(fusion.parameters(), lr=0.1)
    fusion(FEATURES, PRESENT).square().sum().backward()
    optimizer.step()
    assert {"factors.image", "factors.audio"} <= before.keys()
    for name, parameter in fusion.named_parameters():
        assert not torch.equal(parameter, before[name]), name


def test_low_rank_begins_at_the_scale_of_its_features() -> None:
    torch.manual_seed(0)
    fusion = LowRank({"a": 200, "b": 50}, width=1000, rank=4)
    x = {"a": torch.randn(64, 200), "b": torch.randn(64, 50)}
    found = fusion(x, {}).detach()
    assert float(found.mean().abs()) < 0.1
    # (1 + u)(1 + v) - 1 = u + v + uv, with variances 1 + 1 + 1/R of the sum over R.
    assert float(found.var()) == pytest.approx(2.25, rel=0.1)


def test_tensor_is_the_outer_product_with_ones() -> None:
    fusion, x = TensorProduct(WIDTHS, width=3).double(), features()
    h = [with_one(normed(fusion.projections[m](f))) for m, f in x.items()]
    torch.testing.assert_close(fusion(x, {}), outer(h).flatten(1))
    assert fusion.out_features == 64


def test_without_a_modality_the_tensor_is_that_of_the_others() -> None:
    fusion, x = TensorProduct(WIDTHS, width=3).double(), features(1)
    found = fusion(x, {"audio": torch.tensor([False])}).view(4, 4, 4)
    h = {m: with_one(normed(fusion.projections[m](f))) for m, f in x.items()}
    expected = torch.outer(h["image"][0], h["text"][0])
    torch.testing.assert_close(found[:, 3], expected)
    assert not found[:, :3].any()


def test_tensor_names_its_limit_and_the_size() -> None:
    four = {"image": 5, "audio": 3, "text": 4, "series": 2}
    with pytest.raises(UserError) as caught:
        TensorProduct(four)
    assert str(caught.value) == (
        "fusion: 'tensor' takes at most 3 modalities, but the run has 4: a product of "
        "17^4 = 83,521 units. Set fusion=low_rank, or keep 3: modalities=[image,audio,text]."
    )
    with pytest.raises(UserError, match=r"^fusion.width: 40 makes .* 41\^3 = 68,921 units.* 39 or"):
        TensorProduct(WIDTHS, width=40)
    assert TensorProduct(WIDTHS, width=39).out_features == 64_000


def test_multiplicative_is_the_bilinear_form() -> None:
    """Jayakumar et al., eq. (1), 𝕎 formed in full from its factors."""
    torch.manual_seed(0)
    fusion = Multiplicative({"image": 4, "audio": 3}, width=5, factors=2).double()
    nn.init.normal_(fusion.bias)
    x = features()
    (pair,) = fusion.pairs
    left, right = (m.weight.view(5, 2, -1) for m in (pair.left, pair.right))  # pyright: ignore
    w = torch.einsum("oka,okc->aoc", left, right)
    bilinear = torch.einsum("ba,aoc,bc->bo", x["image"], w, x["audio"])
    linear = sum(fusion.linear[m](x[m]) for m in ("image", "audio")) / 2
    torch.testing.assert_close(fusion(x, {}), linear + bilinear + fusion.bias)


def test_multiplicative_averages_over_the_pairs_that_are_there() -> None:
    torch.manual_seed(0)
    fusion, x = Multiplicative(WIDTHS, width=5).double(), features(1)
    two = fusion(x, {"text": torch.tensor([False])})
    pair = fusion.pairs[0]  # of image and audio
    expected = (
        pair(x["image"], x["audio"]) + sum(fusion.linear[m](x[m]) for m in x if m != "text") / 2
    )
    torch.testing.assert_close(two, expected)
    one = fusion(x, {"text": torch.tensor([False]), "image": torch.tensor([False])})
    torch.testing.assert_close(one, fusion.linear["audio"](x["audio"]))


def test_film_scales_and_shifts() -> None:
    fusion = FiLM({"image": 2, "audio": 1}, width=2)
    fill(fusion.projection, [[1, 0], [0, 1]], [0, 0])
    fill(fusion.generators["audio"], [[0.1], [0.1], [1], [0]], [1, 0, 0, 2])
    with torch.no_grad():
        fusion.absent.copy_(torch.tensor([1.0, -0.5]))
    # Normalised, two numbers a < b are -1 and 1 (but for the ε of 1e-5 beside their variance 1/4).
    unit = 0.5 / math.sqrt(0.25 + 1e-5)
    # Row 0: audio 10 makes γ = 1 + (2, 1) and β = (10, 2). Row 1: the image is absent; audio 20
    # makes γ = 1 + (3, 2) and β = (20, 2). Row 2: nothing conditions, γ = 1, β = 0, then the ReLU.
    expected = [[10 - 3 * unit, 2 + 2 * unit], [24, 0.5], [0, unit]]
    assert_rows(fusion(FEATURES, PRESENT), expected)


def test_film_conditions_what_it_is_told() -> None:
    assert FiLM(WIDTHS).conditioned == "image"
    fusion = FiLM(WIDTHS, conditioned="text")
    assert fusion.projection.in_features == 2
    assert list(fusion.generators) == ["image", "audio"]
    with pytest.raises(UserError, match=r"^fusion.conditioned: the run has no 'imge'. Did you mea"):
        FiLM(WIDTHS, conditioned="imge")
