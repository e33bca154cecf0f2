"""Images of more than 8 bits, as images of 8 bits."""

from __future__ import annotations

import numpy as np
from PIL import Image

_BITS_PER_SAMPLE = 258  # TIFF tag
_WHOLE_RANGE = 65_535  # of 16 bits


class UnclearValues(ValueError):
    """What black and white are cannot be told from the file."""


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Return the image with values of 8 bits, in whatever mode has them.

    - 16-bit gray: the high byte; of 12 bits in 16, as TIFF has them, the highest 8.
    - floats: from 0 (black) to 1 (white), or to 255 in images that have values of 2 and more.
    - 32-bit integers: those of 16 bits, where some are above 255. Others are refused: no range is
      agreed on, and guessing one for each file would make files of one data set differ.

    Raises:
        UnclearValues: for floats outside [0, 255] or not finite, for those up to a little more than
            1, which would be all but black, and for those other integers.
    """
    if image.mode == "F":
        return _from_floats(np.asarray(image))
    if image.mode == "I":
        # Pillow spreads PGM of more than 8 bits over 16, and gives older PNG files this mode.
        known = image.format in ("PPM", "PNG")
        return _from_integers(np.asarray(image), known)
    if image.mode.startswith("I;16"):
        tags = getattr(image, "tag_v2", None) or {}
        bits = tags.get(_BITS_PER_SAMPLE, (16,))
        return _gray(np.asarray(image).astype(np.uint16) >> (4 if bits == (12,) else 8))
    return image


def _from_floats(values: np.ndarray) -> Image.Image:
    if not np.isfinite(values).all():
        raise UnclearValues("holds floats that are not finite")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 255 or 1 < high < 2:
        raise UnclearValues(f"holds floats from {low:g} to {high:g}; expected 0 to 1, or to 255")
    return _gray((values * (255 if high <= 1 else 1)).round())


def _from_integers(values: np.ndarray, known: bool) -> Image.Image:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > _WHOLE_RANGE or (0 < high <= 255 and not known):
        raise UnclearValues(
            f"holds 32-bit integers from {low} to {high}, of which white is unknown"
        )
    return _gray(values >> 8)


def _gray(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8))
