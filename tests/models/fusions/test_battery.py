"""Every option of ``conf/fusion`` passes the same checks, on features and, if it can, on tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from jlrun.config.build import build
from jlrun.config.slots import FUSION
from jlrun.errors import UserError
from jlrun.models.encoders.base import Tokens
from jlrun.models.fusions.base import Fusion, TokenFusion
from tests.options import option_node

CONF = Path(__file__).parents[3] / "conf" / "fusion"
OPTIONS = sorted(p.stem for p in CONF.glob("*.yaml") if p.stem[0] != "_")
SEVERAL = [option for option in OPTIONS if option != "none"]
WIDTHS = {"image": 5, "audio": 3, "text": 4}
LENGTHS = {"image": 4, "audio": 3, "text": 5}
# every combination of present and absent, but not none of them
SUBSETS = torch.tensor([row for row in product([False, True], repeat=3) if any(row)])

Inputs = Mapping[str, Tokens]


def make(option: str, widths: Mapping[str, int] = WIDTHS) -> Fusion:
    torch.manual_seed(0)
    fusion = build(option_node("fusion", option), FUSION, widths)
    for parameter in fusion.parameters():  # what begins at zero would hide mistakes
        if not parameter.any():
            nn.init.normal_(parameter, std=0.5)
    return fusion


CASES = [(option, "features") for option in SEVERAL]
CASES += [(option, "tokens") for option in SEVERAL if isinstance(make(option), TokenFusion)]
several = pytest.mark.parametrize(("option", "form"), CASES, ids=["-".join(c) for c in CASES])
attending = pytest.mark.parametrize("option", [o for o, form in CASES if form == "tokens"])


def test_the_fusions_that_attend_are_known() -> None:
    found = {option for option, form in CASES if form == "tokens"}
    assert found >= {"bottleneck", "cross_attention", "transformer"}


def inputs(form: str, count: int = len(SUBSETS), seed: int = 0) -> Inputs:
    """Return tokens of each modality: one, or several, of which some are padding."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for modality, width in WIDTHS.items():
        length = LENGTHS[modality] if form == "tokens" else 1
        values = torch.randn(count, length, width, generator=generator)
        sizes = 1 + torch.arange(count) % length  # of which there is at least one
        padding = None if modality == "image" else torch.arange(length) >= sizes[:, None]
        found[modality] = Tokens(values, padding)
    return found


def present() -> dict[str, Tensor]:
    return dict(zip(WIDTHS, SUBSETS.unbind(dim=1), strict=True))


def fuse(fusion: Fusion, form: str, x: Inputs, masks: Mapping[str, Tensor]) -> Tensor:
    if form == "features":
        return fusion({m: tokens.values[:, 0] for m, tokens in x.items()}, masks)
    assert isinstance(fusion, TokenFusion)
    return fusion.attend(x, masks)


def mapped(x: Inputs, change: Callable[[Tensor], Tensor]) -> Inputs:
    return {m: replace(tokens, values=change(tokens.values)) for m, tokens in x.items()}


def rows_of(x: Inputs, rows: slice) -> Inputs:
    return {
        m: Tokens(t.values[rows], None if t.padding is None else t.padding[rows])
        for m, t in x.items()
    }


def build_head(fusion: Fusion) -> nn.Module:
    torch.manual_seed(1)
    return fusion.build_head(lambda width: nn.Linear(width, 2))


@several
def test_shapes_and_a_batch_of_one(option: str, form: str) -> None:
    fusion = make(option)
    head = build_head(fusion)
    for count in (1, 4):
        fused = fuse(fusion, form, inputs(form, count), {})
        assert fused.shape == (count, fusion.out_features)
        assert head(fused).shape == (count, 2)


@several
@pytest.mark.parametrize("filler", [0.0, 1e6, float("nan")])
def test_content_of_an_absent_modality_has_no_influence(
    option: str, form: str, filler: float
) -> None:
    fusion = make(option)
    head, masks = build_head(fusion), present()
    x = inputs(form)
    other = {
        m: replace(t, values=torch.where(masks[m][:, None, None], t.values, filler))
        for m, t in x.items()
    }
    expected = head(fuse(fusion, form, x, masks))
    found = head(fuse(fusion, form, other, masks))
    assert expected.isfinite().all()
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    found.sum().backward()
    parameters = [*fusion.parameters(), *head.parameters()]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in parameters)


@several
def test_no_gradient_reaches_an_absent_modality(option: str, form: str) -> None:
    fusion, masks = make(option), present()
    x = mapped(inputs(form), lambda values: values.requires_grad_())
    build_head(fusion)(fuse(fusion, form, x, masks)).square().sum().backward()
    for modality, tokens in x.items():
        grad = tokens.values.grad
        assert grad is not None
        reached = grad.flatten(1).abs().sum(dim=1) > 0
        assert torch.equal(reached, masks[modality])


@several
def test_content_of_a_present_modality_has_influence(option: str, form: str) -> None:
    fusion = make(option)
    head, masks = build_head(fusion), present()
    x = inputs(form)
    before = head(fuse(fusion, form, x, masks))
    for modality, tokens in x.items():
        changed = {**x, modality: replace(tokens, values=tokens.values + 1)}
        moved = (head(fuse(fusion, form, changed, masks)) - before).abs().amax(dim=1) > 1e-6
        assert torch.equal(moved, masks[modality])


@several
def test_every_parameter_gets_a_gradient(option: str, form: str) -> None:
    fusion = make(option)
    head = build_head(fusion)
    head(fuse(fusion, form, inputs(form), present())).square().sum().backward()
    for name, parameter in [*fusion.named_parameters(), *head.named_parameters()]:
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@several
def test_no_entry_means_present_in_all_rows(option: str, form: str) -> None:
    fusion, x = make(option), inputs(form)
    masks = {m: torch.ones(len(SUBSETS), dtype=torch.bool) for m in WIDTHS}
    torch.testing.assert_close(fuse(fusion, form, x, {}), fuse(fusion, form, x, masks))


@several
def test_rows_are_independent(option: str, form: str) -> None:
    fusion, x, masks = make(option), inputs(form), present()
    whole = fuse(fusion, form, x, masks)
    for row in range(len(SUBSETS)):
        one = slice(row, row + 1)
        alone = fuse(fusion, form, rows_of(x, one), {m: p[one] for m, p in masks.items()})
        torch.testing.assert_close(alone, whole[one], rtol=1e-5, atol=1e-5)


@several
def test_order_of_the_mappings_does_not_matter(option: str, form: str) -> None:
    fusion, x, masks = make(option), inputs(form), present()
    backwards = {m: x[m] for m in reversed(x)}
    expected = fuse(fusion, form, x, masks)
    torch.testing.assert_close(fuse(fusion, form, backwards, masks), expected, rtol=0, atol=0)


@several
def test_float64_and_state_round_trip(option: str, form: str) -> None:
    fusion, x, masks = make(option), inputs(form), present()
    expected = fuse(fusion, form, x, masks)
    other = make(option)
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(fusion.state_dict())
    torch.testing.assert_close(fuse(other, form, x, masks), expected, rtol=0, atol=0)
    double = fuse(other.double(), form, mapped(x, Tensor.double), masks)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), expected, rtol=1e-5, atol=1e-5)


@several
def test_half_precision_features_are_taken(option: str, form: str) -> None:
    fusion, masks = make(option), present()
    head, x = build_head(fusion), inputs(form)
    expected = head(fuse(fusion, form, x, masks))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = head(fuse(fusion, form, mapped(x, Tensor.bfloat16), masks))
    torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.1)
    found.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fusion.parameters())


@several
def test_dropout_acts_in_training_only(option: str, form: str) -> None:
    if option == "late":
        assert "dropout" not in option_node("fusion", option)  # its heads are all it has
        return
    torch.manual_seed(0)
    fusion, x = (
        build({**option_node("fusion", option), "dropout": 0.5}, FUSION, WIDTHS),
        inputs(form),
    )
    assert not torch.equal(fuse(fusion, form, x, {}), fuse(fusion, form, x, {}))
    fusion.eval()
    torch.testing.assert_close(fuse(fusion, form, x, {}), fuse(fusion, form, x, {}), rtol=0, atol=0)


@attending
@pytest.mark.parametrize("filler", [1e6, float("nan")])
def test_padding_has_no_influence(option: str, filler: float) -> None:
    fusion, x, masks = make(option), inputs("tokens"), present()
    expected = fuse(fusion, "tokens", x, masks)
    other = {}
    for modality, tokens in x.items():
        values, padding = tokens.values, tokens.padding
        padding = torch.zeros(values.shape[:2]).bool() if padding is None else padding
        filled = torch.where(padding[:, :, None], filler, values)
        more = torch.full((len(values), 2, values.shape[2]), filler)
        longer = torch.cat([padding, padding.new_ones(len(values), 2)], dim=1)
        other[modality] = Tokens(torch.cat([filled, more], dim=1), longer)
    found = fuse(fusion, "tokens", other, masks)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    found.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fusion.parameters())


@attending
def test_every_token_that_is_there_has_influence(option: str) -> None:
    fusion, x = make(option), inputs("tokens")
    before = fuse(fusion, "tokens", x, {})
    for modality, tokens in x.items():
        for place in range(LENGTHS[modality]):
            values = tokens.values.clone()
            values[:, place] += 1
            changed = {**x, modality: replace(tokens, values=values)}
            moved = (fuse(fusion, "tokens", changed, {}) - before).abs().amax(dim=1) > 1e-6
            there = torch.ones_like(moved)
            there = there if tokens.padding is None else ~tokens.padding[:, place]
            assert torch.equal(moved, there)


@attending
def test_features_are_one_token_each(option: str) -> None:
    fusion, x, masks = make(option), inputs("features"), present()
    expected = fuse(fusion, "tokens", x, masks)
    torch.testing.assert_close(fuse(fusion, "features", x, masks), expected, rtol=0, atol=0)


@attending
def test_places_in_a_sequence_are_told_apart(option: str) -> None:
    fusion, x = make(option), inputs("tokens")
    image = x["image"]
    turned = {**x, "image": replace(image, values=image.values.flip(1))}
    change = fuse(fusion, "tokens", turned, {}) - fuse(fusion, "tokens", x, {})
    assert (change.abs().amax(dim=1) > 1e-4).all()


@attending
def test_heads_divide_the_width(option: str) -> None:
    with pytest.raises(UserError, match=r"^fusion.heads: 3 heads can't share a width of 128"):
        build({**option_node("fusion", option), "heads": 3}, FUSION, WIDTHS)


@pytest.mark.parametrize("option", SEVERAL)
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
