"""Digits, handwritten and printed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits as bundled
from torch import Tensor
from torch.nn import functional as F

from jlrun.data.datasets import digits
from jlrun.data.datasets.digits import (
    FONTS,
    digit_glyphs,
    digit_images,
    load_digits,
    load_printed_digits,
)

COUNTS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # UCI: optdigits.tes, class sizes


def test_counts_are_those_of_the_uci_test_file() -> None:
    rows = load_digits().train
    assert len(rows) == 1797
    assert rows.targets["digit"].bincount().tolist() == COUNTS


def test_parity_is_that_of_the_digit() -> None:
    targets = load_digits().train.targets
    assert torch.equal(targets["parity"], targets["digit"] % 2)
    assert load_digits().classes["parity"] == ("even", "odd")


def test_pixels_span_black_to_white() -> None:
    pixels, _ = bundled(return_X_y=True)
    images = load_digits().train.fetch(torch.arange(1797)).inputs["image"]
    assert images.min() == 0
    assert images.max() == 255
    sixteenths = torch.as_tensor(pixels).reshape(1797, 1, 8, 8)
    assert (images.double() / 255 - sixteenths / 16).abs().max() <= 0.5 / 255


def test_no_official_splits() -> None:
    assert load_digits().val is None
    assert load_digits().test is None


STILL = {"rotate": 0.0, "shear": 0.0, "width": 1.0, "scale": 0.0, "shift": 0.0, "thicken": 0}


def images(**options: Any) -> Tensor:
    rows = load_printed_digits(**options).train
    return rows.fetch(torch.arange(len(rows))).inputs["image"]


def test_classes_are_balanced() -> None:
    targets = load_printed_digits(per_class=12).train.targets
    assert targets["digit"].bincount().tolist() == [12] * 10
    assert torch.equal(targets["parity"], targets["digit"] % 2)


def test_default_is_3000_rows_of_8_by_8() -> None:
    assert images().shape == (3000, 1, 8, 8)


@pytest.mark.parametrize("size", [4, 8, 28, 64])
def test_any_size(size: int) -> None:
    assert images(per_class=2, size=size).shape == (20, 1, size, size)


def test_no_image_is_blank_and_ink_is_like_handwriting() -> None:
    ink = images().float().mean(dim=(1, 2, 3)) / 255
    assert ink.min() > 0.05
    handwritten = digit_images()[0].float().mean() / 255
    assert abs(ink.mean() - handwritten) < 0.15


def test_without_distortion_rows_of_a_digit_are_the_fonts_glyphs() -> None:
    glyphs = digit_glyphs(64).permute(1, 0, 2, 3)
    expected = (glyphs.unflatten(2, (8, 8)).unflatten(4, (8, 8)).mean(dim=(3, 5)) * 255).round()
    drawn = images(per_class=20, **STILL).float().view(10, 20, 64)
    distance = torch.cdist(drawn, expected.flatten(2), p=torch.inf).amin(dim=2)
    assert distance.max() <= 1  # rounding


@pytest.mark.parametrize("option", ["rotate", "shear", "scale", "shift", "thicken"])
def test_every_distortion_changes_images(option: str) -> None:
    amount = {"rotate": 30.0, "thicken": 6}.get(option, 0.3)
    still = images(per_class=30, **STILL).float()
    moved = images(per_class=30, **{**STILL, option: amount}).float()
    assert (still - moved).abs().mean() > 1
    if option == "thicken":
        assert moved.mean() > 1.1 * still.mean()


def test_width_narrows_the_glyphs() -> None:
    columns = images(per_class=50, **{**STILL, "width": 0.5}).float().mean(dim=(0, 1, 2))
    assert columns[[0, 1, 6, 7]].max() < 0.02 * columns.max()
    assert images(per_class=50, **STILL).float().mean(dim=(0, 1, 2))[[1, 6]].min() > 20


def test_every_glyph_fills_the_height_and_fonts_differ() -> None:
    glyphs = digit_glyphs(64)
    assert glyphs.shape == (len(FONTS), 10, 64, 64)
    rows = glyphs.amax(dim=3)
    assert rows[:, :, [0, -1]].min() > 0.1
    assert len(glyphs.flatten(1).unique(dim=0)) == len(FONTS)
    digits = glyphs.mean(dim=0).flatten(1)
    assert len(digits.unique(dim=0)) == 10


def test_digits_of_a_font_are_told_apart_by_the_mean_of_the_other_fonts() -> None:
    # A font without the right glyphs (a symbol font, boxes for missing ones) would fail this.
    glyphs = digit_glyphs(32).flatten(2)
    for index, font in enumerate(FONTS):
        others = torch.cat([glyphs[:index], glyphs[index + 1 :]]).mean(dim=0)
        nearest = torch.cdist(glyphs[index], others).argmin(dim=1)
        assert (nearest == torch.arange(10)).sum() >= 8, font


@pytest.mark.parametrize("options", [{}, {"size": 28, "rotate": 60.0, "shear": 1.0}])
def test_images_are_those_of_pytorchs_affine_grid(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slower(theta: torch.Tensor, size: int) -> torch.Tensor:
        return F.affine_grid(theta, [len(theta), 1, size, size], align_corners=False)

    found = images(per_class=40, **options)
    monkeypatch.setattr(digits, "_affine_grid", slower)
    # The grid's last digit depends on the processor's kernels, and with it a pixel on the edge.
    apart = (images(per_class=40, **options).int() - found.int()).abs()
    assert apart.max() <= 1
    assert (apart > 0).float().mean() < 1e-4


def test_strokes_are_as_wide_as_the_largest_pixel_around() -> None:
    glyph = torch.zeros(1, 9, 9)
    glyph[0, 4, 4] = 1
    thick = digits._thickened(glyph, 3)
    assert thick.shape == (4, 1, 9, 9)
    assert thick.sum(dim=(1, 2, 3)).tolist() == [1.0, 4.0, 9.0, 16.0]
    assert torch.equal(thick[0], glyph)
