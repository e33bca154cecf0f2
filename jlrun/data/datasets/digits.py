"""Digits, handwritten (bundled with scikit-learn) or printed in many fonts; no downloads."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import torch
from annotated_types import Ge, Le, Lt
from torch import Generator, Tensor
from torch.nn import functional as F

from jlrun.data.dataset import Dataset
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.ranges import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from jlrun.seeding import derive_seed

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

DIGITS = tuple("0123456789")
PARITIES = ("even", "odd")


def load_digits() -> Dataset:
    """Return 1,797 handwritten digits of 8 x 8 pixels with their value and parity.

    The test part of Alpaydin & Kaynak, "Optical Recognition of Handwritten Digits", UCI 1998, as
    bundled with scikit-learn. There is no official test split.

    Returns:
        image uint8 ``(1, 8, 8)``, 0 to 255; tasks ``digit`` and ``parity``, int64.
    """
    images, digit = digit_images()
    return Dataset(
        train=TensorRows({"image": images}, {"digit": digit, "parity": digit % 2}),
        modalities={"image": ImageSpec(1, images.shape[2], images.shape[3], mean=(), std=())},
        classes={"digit": DIGITS, "parity": PARITIES},
    )


def digit_images() -> tuple[Tensor, Tensor]:
    """Return the images, uint8 ``(1797, 1, 8, 8)``, and the digits they show, int64 ``(1797,)``."""
    # Read without importing scikit-learn, which takes as long as training on them for an epoch.
    found = find_spec("sklearn")
    assert found is not None, "a dependency"
    file = Path(str(found.origin)).parent / "datasets" / "data" / "digits.csv.gz"
    rows = torch.as_tensor(np.loadtxt(file, delimiter=","))  # 64 pixels of 0 to 16, and the digit
    pixels = rows[:, :-1].reshape(-1, 1, 8, 8)
    return (pixels * (255 / 16)).round().to(torch.uint8), rows[:, -1].long()


GLYPH_SIZE = 64


# The bundled fonts whose glyphs of "0" to "9" are upright or slanted digits of one height; the
# others have symbols, or digits of uneven height (cmmi10).
FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10"),
)


def load_printed_digits(
    per_class: PositiveInt = 300,
    size: Annotated[int, Ge(4), Le(GLYPH_SIZE)] = 8,
    rotate: Annotated[float, Ge(0), Lt(90)] = 15.0,
    shear: NonNegativeFloat = 0.2,
    width: PositiveFloat = 0.8,
    scale: Fraction = 0.25,
    shift: Fraction = 0.12,
    thicken: NonNegativeInt = 2,
    seed: int = 0,
) -> Dataset:
    """Return digits rendered from Matplotlib's bundled fonts, each with a random affine map.

    Font, map (uniform up to the bounds below) and thickness of the stroke are drawn for every row.
    White on black, as high as the image, like `jlrun.data.datasets.digits`. There is no official
    test split, and a font may occur in all splits: scores measure how well printed digits are
    learned, not how well a model does on unseen fonts.

    Args:
        per_class: rows per digit.
        size: height and width of the images in pixels.
        rotate: largest rotation in degrees, either way.
        shear: largest sideways slant, as a share of the height.
        width: of the glyphs, against that of the font; handwritten digits are narrower.
        scale: largest change of width and of height, each drawn on its own.
        shift: largest shift along each axis, as a share of the size.
        thicken: largest width added to the strokes, in 64ths of the size.
        seed: of all draws.

    Returns:
        image uint8 ``(1, size, size)``; tasks ``digit`` and ``parity``, int64.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "printed_digits"))
    glyphs = digit_glyphs(GLYPH_SIZE)
    images = []
    for digit in range(len(DIGITS)):
        font = torch.randint(len(glyphs), (per_class,), generator=generator)
        added = torch.randint(thicken + 1, (per_class,), generator=generator)
        drawn = _thickened(glyphs[:, digit], thicken)[added, font][:, None]
        bounds = (rotate, shear, scale, shift)
        theta = _random_affine(per_class, bounds, width, generator)
        images.append(_render(drawn, theta, size))
    digit = torch.arange(len(DIGITS)).repeat_interleave(per_class)
    return Dataset(
        train=TensorRows({"image": torch.cat(images)}, {"digit": digit, "parity": digit % 2}),
        modalities={"image": ImageSpec(1, size, size, mean=(), std=())},
        classes={"digit": DIGITS, "parity": PARITIES},
    )


def _thickened(glyphs: Tensor, most: int) -> Tensor:
    """Return images ``(F, S, S)`` with strokes widened by 0 to ``most`` pixels, stacked first."""
    widened = [glyphs]
    for added in range(1, most + 1):
        padding = [added // 2, (added + 1) // 2] * 2
        padded = F.pad(glyphs[:, None], padding)
        widened.append(F.max_pool2d(padded, added + 1, stride=1)[:, 0])
    return torch.stack(widened)


def _random_affine(
    count: int, bounds: tuple[float, float, float, float], width: float, generator: Generator
) -> Tensor:
    """Return maps from output to input coordinates in [-1, 1], ``(count, 2, 3)``."""
    rotate, shear, scale, shift = bounds
    u = torch.rand((6, count), generator=generator) * 2 - 1
    angle = u[0] * math.radians(rotate)
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1)
    slant = torch.eye(2).repeat(count, 1, 1)
    slant[:, 0, 1] = u[1] * shear
    zoom = torch.tensor([width, 1.0]) * (1 + scale * u[2:4].T)
    linear = torch.diag_embed(1 / zoom) @ slant @ rotation.view(count, 2, 2)
    return torch.cat([linear, 2 * shift * u[4:6].T[:, :, None]], dim=2)


def _render(glyphs: Tensor, theta: Tensor, size: int) -> Tensor:
    """Return the mapped glyphs, uint8 ``(N, 1, size, size)``."""
    # Antialiased like the handwritten digits, whose pixels are counts of black ones in a block.
    block = GLYPH_SIZE // size
    grid = _affine_grid(theta, size * block)
    images = F.avg_pool2d(F.grid_sample(glyphs, grid, align_corners=False), block)
    return (images * 255).round().clamp(0, 255).to(torch.uint8)


def _affine_grid(theta: Tensor, size: int) -> Tensor:
    """Return where each pixel is read, ``(N, size, size, 2)``.

    Up to the last digit ``F.affine_grid(theta, (N, 1, size, size), align_corners=False)``, whose
    product of matrices with an edge of 2 takes eight times as long.
    """
    line = torch.linspace(-1, 1, size) * (size - 1) / size
    along = theta[:, :, :2, None] * line  # (N, 2, 2, size)
    grid = along[:, :, 0, None, :] + along[:, :, 1, :, None] + theta[:, :, 2, None, None]
    return grid.permute(0, 2, 3, 1)


def digit_glyphs(size: int) -> Tensor:
    """Return every digit in every font, float32 ``(len(FONTS), 10, size, size)``, 0 to 1.

    White on black, as high as the image, in the proportions of the font, centred.
    """
    import matplotlib
    from PIL import ImageFont

    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    fonts = [ImageFont.truetype(folder / f"{font}.ttf", 2 * size) for font in FONTS]
    glyphs = [[_glyph(font, digit, size) for digit in DIGITS] for font in fonts]
    return torch.from_numpy(np.array(glyphs, dtype=np.float32) / 255)


def _glyph(font: FreeTypeFont, character: str, size: int) -> np.ndarray:
    from PIL import Image, ImageDraw

    left, top, right, bottom = map(round, font.getbbox(character))
    large = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(large).text((-left, -top), character, fill=255, font=font)
    large = large.crop(large.getbbox())
    width = min(size, round(large.width * size / large.height))
    glyph = Image.new("L", (size, size))
    glyph.paste(large.resize((width, size), Image.Resampling.LANCZOS), ((size - width) // 2, 0))
    return np.asarray(glyph)
