"""Patches, and guesses at those that are hidden."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from jlrun.data.rows import TensorRows
from jlrun.models.encoders import MLP, ViT
from jlrun.objective.terms.base import StepView
from jlrun.objective.terms.self_supervised import MAE
from jlrun.objective.terms.self_supervised.mae import (
    TokenDecoder,
    hide_patches,
    padded,
    patchify,
    random_order,
    standardised,
)
from tests.objective.terms.self_supervised.phase import (
    SPEC,
    begun,
    image_model,
    model_of,
    rows_of,
    step_view,
    stream_of,
)

STREAM = stream_of("dataset", rows_of("image", 24))


class Fixed(nn.Module):
    """A decoder that guesses the same, whatever it is told."""

    def __init__(self, guess: Tensor) -> None:
        super().__init__()
        self.guess = guess

    def forward(self, *_: Tensor) -> Tensor:
        return self.guess


def images(rows: int = 2, height: int = 6, width: int = 4) -> Tensor:
    return torch.randn(rows, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_patches_are_cut_in_rows() -> None:
    x = images()
    patches = patchify(x, 2)
    assert patches.shape == (2, 6, 12)
    for n in range(6):
        y, left = 2 * (n // 2), 2 * (n % 2)
        window = x[:, :, y : y + 2, left : left + 2]
        assert torch.equal(patches[:, n], window.flatten(1))


def test_images_are_padded_at_the_right_and_bottom() -> None:
    x = images(2, 5, 7)
    whole = padded(x, 3)
    assert whole.shape == (2, 3, 6, 9)
    assert torch.equal(whole[:, :, :5, :7], x)
    assert torch.equal(whole[:, :, 5:], torch.zeros(2, 3, 1, 9))
    assert torch.equal(whole[..., 7:], torch.zeros(2, 3, 6, 2))
    assert padded(images(), 2).shape == (2, 3, 6, 4)


def test_hidden_patches_are_zero_and_others_stay() -> None:
    x = images()
    hidden = torch.tensor([[1, 0, 0, 0, 0, 1], [0, 1, 1, 0, 0, 0]]).bool()
    expected = torch.where(hidden[:, :, None], 0, patchify(x, 2))
    torch.testing.assert_close(patchify(hide_patches(x, hidden, 2), 2), expected)


def test_patches_get_mean_zero_and_variance_one() -> None:
    patches = standardised(patchify(5 * images() + 3, 2))
    torch.testing.assert_close(patches.mean(dim=2), torch.zeros(2, 6), atol=1e-5, rtol=0)
    torch.testing.assert_close(patches.var(dim=2, correction=0), torch.ones(2, 6))
    constant = standardised(torch.ones(2, 6, 12))
    assert torch.equal(constant, torch.zeros(2, 6, 12))
    single = torch.randn(2, 6, 1)
    assert torch.equal(standardised(single), single)


def test_every_patch_is_as_likely_to_be_hidden() -> None:
    torch.manual_seed(0)
    order = random_order(4000, 8, torch.device("cpu"))
    assert torch.equal(order.sort(dim=1).values, torch.arange(8).expand(4000, -1))
    often = torch.stack([(order[:, :6] == n).any(dim=1).float().mean() for n in range(8)])
    torch.testing.assert_close(often, torch.full((8,), 0.75), atol=0.03, rtol=0)


@pytest.mark.parametrize("encoder", ["convolutional", "vit", "vit without token"])
def test_the_error_is_that_of_hidden_patches_alone(encoder: str) -> None:
    """A guess that is wrong by a in visible patches and by b in hidden ones costs b²."""
    model = image_model(encoder)
    term = begun(MAE(mask=0.75, width=16, heads=2), model, STREAM)
    view = step_view(model, STREAM)
    side = 2 if "vit" in encoder else 4
    right = standardised(patchify(view.batches["dataset"].inputs["image"], side))
    torch.manual_seed(3)
    order = random_order(6, right.shape[1], torch.device("cpu"))
    hidden = order[:, right.shape[1] // 4 :]
    wrong = torch.full(right.shape[:2], 100.0).scatter(1, hidden, 0.5)[:, :, None]
    term.decoder = Fixed(right + wrong)
    torch.manual_seed(3)
    assert term(view).item() == pytest.approx(0.25, rel=1e-5)


def test_guessing_the_mean_costs_one() -> None:
    """Hidden patches have variance 1, but for the 10⁻⁶ that is added to it."""
    model = image_model()
    term = begun(MAE(), model, STREAM)
    term.decoder = Fixed(torch.zeros(6, 4, 48))
    assert term(step_view(model, STREAM)).item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("mask", "num_hidden"), [(0.01, 1), (0.25, 1), (0.5, 2), (0.75, 3), (0.99, 3)]
)
def test_at_least_one_patch_is_hidden_and_one_is_seen(mask: float, num_hidden: int) -> None:
    model = image_model()
    term = begun(MAE(mask=mask), model, STREAM)
    seen: list[Tensor] = []
    model.body.register_forward_pre_hook(lambda _, args: seen.append(args[0].inputs["image"]))
    term(step_view(model, STREAM))
    blank = (patchify(seen[0], 4) == 0).all(dim=2)
    assert blank.sum(dim=1).tolist() == [num_hidden] * 6


def test_a_transformer_sees_the_visible_patches_alone() -> None:
    """Nothing of a hidden patch reaches the guesses: they have no gradient to its pixels."""
    model = image_model("vit")
    term = begun(MAE(width=16, heads=2), model, STREAM)
    view = step_view(model, STREAM)
    x = view.batches["dataset"].inputs["image"].clone().requires_grad_()
    batch = replace(view.batches["dataset"], inputs={"image": x}, views=())
    encoder = model.body.trunk.encoders["image"]
    assert isinstance(encoder, ViT)
    order = random_order(6, 16, torch.device("cpu"))
    visible, hidden = order[:, :4], order[:, 4:]
    guesses = term._guess(StepView(model, {}, {}, 0), batch, visible, hidden)
    assert guesses.shape == (6, 16, 12)
    guesses.square().sum().backward()
    assert x.grad is not None
    touched = (patchify(x.grad, 2) != 0).any(dim=2)
    expected = torch.zeros(6, 16, dtype=torch.bool).scatter(1, visible, True)
    assert torch.equal(touched, expected)


@pytest.mark.parametrize("pool", ["token", "mean"])
def test_the_decoder_puts_tokens_in_their_places(pool: str) -> None:
    """Permuting the visible patches together with their tokens changes nothing."""
    torch.manual_seed(0)
    decoder = TokenDecoder(5, 9, pool == "token", 7, 8, 2, 2)
    tokens, visible = torch.randn(3, 4, 5), torch.stack([torch.randperm(9)[:4] for _ in range(3)])
    first = torch.randn(3, 1, 5)[:, : int(pool == "token")]
    order = torch.tensor([2, 0, 3, 1])
    guesses = decoder(torch.cat([first, tokens], dim=1), visible)
    again = decoder(torch.cat([first, tokens[:, order]], dim=1), visible[:, order])
    assert guesses.shape == (3, 9, 7)
    torch.testing.assert_close(again, guesses)
    elsewhere = decoder(torch.cat([first, tokens], dim=1), visible.roll(1, dims=1))
    assert not torch.allclose(elsewhere, guesses)


@pytest.mark.parametrize("side", [5, 8])
def test_images_of_any_size_are_padded_to_whole_patches(side: int) -> None:
    rows = torch.randint(0, 256, (12, 3, 8, side), dtype=torch.uint8)
    spec = replace(SPEC, width=side)
    stream = stream_of("dataset", TensorRows({"image": rows}, {}), spec=spec)
    for encoder in (MLP(spec, hidden=[6]), ViT(spec, patch=3, width=8, depth=1, heads=2)):
        model = model_of(encoder)
        term = begun(MAE(patch=3, width=16, heads=2), model, stream)
        value = term(step_view(model, stream))
        value.backward()
        assert value.isfinite()


def test_it_learns_what_images_have_in_common() -> None:
    """Stripes of one direction: a hidden patch can be told from the others."""
    generator = torch.Generator().manual_seed(0)
    phase = torch.rand(64, 1, 1, 1, generator=generator) * 4
    wave = torch.sin((torch.arange(8.0) + phase) * torch.pi / 2).expand(-1, 3, 8, -1)
    rows = TensorRows({"image": (127 + 100 * wave).to(torch.uint8)}, {})
    stream = stream_of("dataset", rows, batch=64)
    for name in ("vit", "mlp"):
        model = image_model(name)
        term = begun(MAE(width=16, heads=2), model, stream)
        optimizer = torch.optim.Adam([*model.body.parameters(), *term.parameters()], lr=1e-2)
        view = step_view(model, stream)
        torch.manual_seed(0)
        values = []
        for _ in range(100):
            optimizer.zero_grad()
            values.append(term(view))
            values[-1].backward()
            optimizer.step()
        assert values[0].item() > 0.9
        assert values[-1].item() < 0.5
