"""Fitting tensors to a module: position embeddings for another grid."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from jlrun.data.specs import ImageSpec
from jlrun.models.encoders import ViT
from jlrun.models.weight_files import load_weights
from jlrun.models.weight_files.loading import fit_positions

BOTH, NEITHER = (True, True), (False, False)


def table(length: int) -> torch.Tensor:
    return torch.randn(1, length, 3, generator=torch.Generator().manual_seed(length))


def test_the_same_grid_stays_as_it_is() -> None:
    fitted = fit_positions(table(10), 10, (3, 3), BOTH)
    assert fitted is not None
    assert torch.equal(fitted, table(10))


def test_places_that_both_grids_have_keep_their_values() -> None:
    """With aligned corners every second row and third column of 13×19 is one of 7×7."""
    square = torch.randn(1, 49, 2, dtype=torch.float64)
    fitted = fit_positions(square, 13 * 19, (13, 19), NEITHER)
    assert fitted is not None
    shared = fitted.view(13, 19, 2)[::2, ::3]
    torch.testing.assert_close(shared, square.view(7, 7, 2), rtol=0, atol=1e-12)
    assert not torch.allclose(fitted.view(13, 19, 2)[1::2, ::3], shared[:-1], atol=0.1)


@pytest.mark.parametrize(
    ("tokens", "length", "new_length"),
    [((True, False), 10, 9), ((False, True), 9, 10), ((True, True), 9, 10)],
    ids=["dropped", "added", "class token without a position"],
)
def test_class_tokens(tokens: tuple[bool, bool], length: int, new_length: int) -> None:
    fitted = fit_positions(table(length), new_length, None, tokens)
    assert fitted is not None
    assert torch.equal(fitted[:, -9:], table(length)[:, -9:])
    if new_length == 10:
        assert not fitted[:, 0].any()


@pytest.mark.parametrize(
    ("length", "new_length", "grid"), [(12, 10, (3, 3)), (10, 12, None), (10, 12, (2, 5))]
)
def test_grids_that_are_not_known_are_not_guessed(
    length: int, new_length: int, grid: tuple[int, int] | None
) -> None:
    assert fit_positions(table(length), new_length, grid, BOTH) is None


def test_half_precision_stays_half_but_is_computed_in_single() -> None:
    fitted = fit_positions(table(10).bfloat16(), 26, (5, 5), BOTH)
    assert fitted is not None
    assert fitted.dtype == torch.bfloat16
    maps = table(10).bfloat16().float()[:, 1:].view(1, 3, 3, 3).permute(0, 3, 1, 2)
    expected = F.interpolate(maps, (5, 5), mode="bicubic", align_corners=True)
    assert torch.equal(fitted[:, 1:], expected.flatten(2).mT.bfloat16())


def vit(height: int, width: int) -> ViT:
    spec = ImageSpec(3, height, width, (), ())
    return ViT(spec, patch=4, width=6, depth=1, heads=1)


def test_images_that_are_not_square(tmp_path: Path) -> None:
    source, target = vit(16, 16), vit(8, 24)
    torch.save(source.state_dict(), tmp_path / "vit.pth")
    report = load_weights(target, tmp_path / "vit.pth", "here")
    assert "pos_embed" in report.loaded
    expected = fit_positions(source.pos_embed.detach(), 13, (2, 6), BOTH)
    assert expected is not None
    assert torch.equal(target.pos_embed, expected)


def test_a_file_of_another_grid_that_is_not_square_is_skipped_and_told(tmp_path: Path) -> None:
    torch.save(vit(8, 24).state_dict(), tmp_path / "vit.pth")
    report = load_weights(vit(16, 16), tmp_path / "vit.pth", "here")
    assert report.missing == ("pos_embed",)
    assert "skipped pos_embed: (1, 13, 6) in the file, (1, 17, 6) in the model" in report.lines()
