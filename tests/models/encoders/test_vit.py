"""The vision transformer is timm's, its tokens do not depend on how they are taken."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError
from jlrun.models.encoders import ViT

SPEC = ImageSpec(3, 16, 8, (0.5,) * 3, (0.25,) * 3)


def make(**options: Any) -> ViT:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"patch": 4, "width": 24, "depth": 2, "heads": 3}
    return ViT(SPEC, **sizes | options)


@pytest.mark.parametrize("pool", ["token", "mean"])
@torch.no_grad()
def test_it_is_timms(pool: str) -> None:
    timm = pytest.importorskip("timm")
    encoder = make(pool=pool).eval()
    oracle = timm.models.vision_transformer.VisionTransformer(
        img_size=(16, 8),
        patch_size=4,
        embed_dim=24,
        depth=2,
        num_heads=3,
        num_classes=0,
        class_token=pool == "token",
        global_pool="token" if pool == "token" else "avg",
        fc_norm=False,
    ).eval()
    oracle.load_state_dict(encoder.state_dict())
    x = torch.randn(3, 3, 16, 8)
    torch.testing.assert_close(encoder(x), oracle(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pool", ["token", "mean"])
@torch.no_grad()
def test_keeping_all_patches_in_another_order_permutes_the_tokens(pool: str) -> None:
    encoder = make(pool=pool).eval()
    x = torch.randn(2, 3, 16, 8)
    order = torch.stack([torch.randperm(8) for _ in range(2)])
    first = 1 if pool == "token" else 0
    plain, permuted = encoder.tokens(x), encoder.tokens(x, order)
    for row in range(2):
        torch.testing.assert_close(permuted[row, first:], plain[row, first:][order[row]])
    torch.testing.assert_close(permuted[:, :first], plain[:, :first])


@pytest.mark.parametrize(("pool", "length"), [("token", 4), ("mean", 3)])
def test_dropped_patches_have_no_influence(pool: str, length: int) -> None:
    encoder = make(pool=pool).eval()
    x = torch.randn(2, 3, 16, 8, requires_grad=True)
    keep = torch.tensor([[0, 3, 5], [7, 1, 2]])
    tokens = encoder.tokens(x, keep)
    assert tokens.shape == (2, length, 24)
    tokens.square().sum().backward()
    assert x.grad is not None
    # 4×2 patches in row-major order
    seen = x.grad.unfold(2, 4, 4).unfold(3, 4, 4).abs().sum(dim=(1, 4, 5)).flatten(1) > 0
    expected = torch.zeros(2, 8, dtype=torch.bool).scatter_(1, keep, True)
    assert torch.equal(seen, expected)


@pytest.mark.parametrize("pool", ["token", "mean"])
@pytest.mark.parametrize("train", [False, True])
def test_stages_compose_to_the_encoder(pool: str, train: bool) -> None:
    encoder = make(pool=pool, dropout=0.3, depth=3).train(train)
    x = torch.randn(2, 3, 16, 8)
    stages, y = encoder.stages(), x
    assert len(stages) == 4
    torch.manual_seed(1)
    for stage in stages:
        y = stage.run(y)
        assert y.shape[1] == stage.channels
    torch.manual_seed(1)
    torch.testing.assert_close(y, encoder(x))


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 5, 9), (3, 32, 32)])
@pytest.mark.parametrize("pool", ["token", "mean"])
def test_any_size_trains_every_parameter(size: tuple[int, int, int], pool: str) -> None:
    encoder = ViT(ImageSpec(*size, (), ()), width=8, depth=1, heads=2, pool=pool)  # pyright: ignore
    encoder(torch.randn(1, *size)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())


def test_padding_is_zeros_at_the_right_and_the_bottom() -> None:
    encoder = ViT(ImageSpec(1, 5, 4, (), ()), patch=4, width=4, depth=1, heads=1)
    padded = encoder.padded(torch.ones(1, 1, 5, 4))
    assert encoder.grid == (2, 1)
    assert padded.shape == (1, 1, 8, 4)
    assert padded.sum() == 20
    assert padded[0, 0, :5].all()


def test_works_under_bfloat16_autocast() -> None:
    encoder = make()
    x = torch.randn(2, 3, 16, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = encoder(x)
    torch.testing.assert_close(low.float(), encoder(x), rtol=0.05, atol=0.05)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(UserError, match=r"^backbone\.image\.heads: 5 heads"):
        make(heads=5)
