"""Glyphs of the digits in the fonts that Matplotlib brings along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

# The bundled fonts whose glyphs of "0" to "9" are upright or slanted digits of one height; the
# others hold symbols, or digits of uneven height (cmmi10).
FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10"),
)


def digit_glyphs(size: int) -> Tensor:
    """Return every digit in every font, float32 ``(len(FONTS), 10, size, size)``, 0 to 1.

    White on black, as high as the image, in the proportions of the font, centred.
    """
    import matplotlib

    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    glyphs = [[_glyph(folder / f"{font}.ttf", d, size) for d in "0123456789"] for font in FONTS]
    return torch.from_numpy(np.array(glyphs, dtype=np.float32) / 255)


def _glyph(font_file: Path, character: str, size: int) -> np.ndarray:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(font_file, 2 * size)
    left, top, right, bottom = map(round, font.getbbox(character))
    large = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(large).text((-left, -top), character, fill=255, font=font)
    large = large.crop(large.getbbox())
    width = min(size, round(large.width * size / large.height))
    glyph = Image.new("L", (size, size))
    glyph.paste(large.resize((width, size), Image.Resampling.LANCZOS), ((size - width) // 2, 0))
    return np.asarray(glyph)
