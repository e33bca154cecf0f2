"""Every option of ``conf/fusion`` passes the same checks."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from jlrun.config.build import build
from jlrun.config.compose import compose
from jlrun.errors import UserError
from jlrun.fusions.base import Fusion

CONF = Path(__file__).parents[2] / "conf" / "fusion"
OPTIONS = sorted(p.stem for p in CONF.glob("*.yaml") if p.stem[0] != "_")
SEVERAL = [option for option in OPTIONS if option != "none"]
WIDTHS = {"image": 5, "audio": 3, "text": 4}
# every combination of present and absent, but not none of them
SUBSETS = torch.tensor([row for row in product([False, True], repeat=3) if any(row)])

several = pytest.mark.parametrize("option", SEVERAL)


def make(option: str, widths: dict[str, int] = WIDTHS) -> Fusion:
    torch.manual_seed(0)
    fusion = build(compose(["mode=multitask", f"fusion={option}"]).config["fusion"], widths)
    for parameter in fusion.parameters():  # tokens begin at zero, which would hide mistakes
        nn.init.normal_(parameter)
    return fusion


def features(count: int = len(SUBSETS), seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {m: torch.randn(count, width, generator=generator) for m, width in WIDTHS.items()}


def present() -> dict[str, Tensor]:
    return dict(zip(WIDTHS, SUBSETS.unbind(dim=1), strict=True))


def predict(
    fusion: Fusion, head: nn.Module, x: dict[str, Tensor], masks: dict[str, Tensor]
) -> Tensor:
    return head(fusion(x, masks))


def build_head(fusion: Fusion) -> nn.Module:
    torch.manual_seed(1)
    return fusion.build_head(lambda width: nn.Linear(width, 2))


@several
def test_shapes_and_a_batch_of_one(option: str) -> None:
    fusion = make(option)
    head = build_head(fusion)
    for count in (1, 4):
        fused = fusion(features(count), {})
        assert fused.shape == (count, fusion.out_features)
        assert head(fused).shape == (count, 2)


@several
@pytest.mark.parametrize("filler", [0.0, 1e6, float("nan")])
def test_content_of_an_absent_modality_has_no_influence(option: str, filler: float) -> None:
    fusion = make(option)
    head, masks = build_head(fusion), present()
    x = features()
    other = {m: torch.where(masks[m][:, None], x[m], filler) for m in x}
    expected, found = predict(fusion, head, x, masks), predict(fusion, head, other, masks)
    assert expected.isfinite().all()
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    found.sum().backward()
    parameters = [*fusion.parameters(), *head.parameters()]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in parameters)


@several
def test_content_of_a_present_modality_has_influence(option: str) -> None:
    fusion = make(option)
    head, masks = build_head(fusion), present()
    x = features()
    before = predict(fusion, head, x, masks)
    for modality in x:
        changed = predict(fusion, head, x | {modality: x[modality] + 1}, masks)
        moved = (changed - before).abs().amax(dim=1) > 1e-6
        assert torch.equal(moved, masks[modality])


@several
def test_every_parameter_gets_a_gradient(option: str) -> None:
    fusion = make(option)
    head = build_head(fusion)
    predict(fusion, head, features(), present()).square().sum().backward()
    for name, parameter in [*fusion.named_parameters(), *head.named_parameters()]:
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@several
def test_no_entry_means_present_in_all_rows(option: str) -> None:
    fusion, x = make(option), features()
    masks = {m: torch.ones(len(SUBSETS), dtype=torch.bool) for m in WIDTHS}
    torch.testing.assert_close(fusion(x, {}), fusion(x, masks))


@several
def test_rows_are_independent(option: str) -> None:
    fusion, x, masks = make(option), features(), present()
    whole = fusion(x, masks)
    for row in range(len(SUBSETS)):
        one = slice(row, row + 1)
        alone = fusion({m: f[one] for m, f in x.items()}, {m: p[one] for m, p in masks.items()})
        torch.testing.assert_close(alone, whole[one])


@several
def test_order_of_the_mappings_does_not_matter(option: str) -> None:
    fusion, x, masks = make(option), features(), present()
    backwards = {m: x[m] for m in reversed(x)}
    torch.testing.assert_close(fusion(backwards, masks), fusion(x, masks))


@several
def test_float64_and_state_round_trip(option: str) -> None:
    fusion, x, masks = make(option), features(), present()
    expected = fusion(x, masks)
    other = make(option)
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(fusion.state_dict())
    torch.testing.assert_close(other(x, masks), expected, rtol=0, atol=0)
    double = other.double()({m: f.double() for m, f in x.items()}, masks)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), expected)


@several
def test_half_precision_features_are_taken(option: str) -> None:
    fusion, masks = make(option), present()
    head = build_head(fusion)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = {m: f.bfloat16() for m, f in features().items()}
        assert predict(fusion, head, x, masks).isfinite().all()


@several
@pytest.mark.parametrize("widths", [{}, {"image": 5}])
def test_needs_two_modalities(option: str, widths: dict[str, int]) -> None:
    with pytest.raises(UserError, match=rf"^fusion: '{option}' fuses two.*Set fusion=none"):
        make(option, widths)


def test_none_passes_its_modality_on() -> None:
    fusion, x = make("none", {"image": 5}), torch.randn(1, 5)
    assert fusion.out_features == 5
    assert fusion({"image": x}, {}) is x


@pytest.mark.parametrize("widths", [{}, WIDTHS])
def test_none_needs_exactly_one_modality(widths: dict[str, int]) -> None:
    with pytest.raises(UserError, match=r"^fusion: 'none' takes exactly one modality"):
        make("none", widths)
