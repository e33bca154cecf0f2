"""Open image files: one place for all that reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from jlrun.files.limits import check_room
from jlrun.files.regular import check_regular

# Pillow goes by the content: an EPS file called x.png would start Ghostscript.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_TILE_WIDTH, _TILE_HEIGHT = 322, 323  # TIFF tags
# Pillow stores every colour pixel in four bytes.
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1}

# `check_room` stands in its place, which knows how much memory there is.
Image.MAX_IMAGE_PIXELS = None


@contextmanager
def open_image(path: str | Path) -> Iterator[Image.Image]:
    """Open an image without decoding it; of an animated one, or of several pages, the first.

    Raises:
        UserError: if it is no regular file.
        OSError, ValueError, …: whatever a damaged header makes Pillow run into.
    """
    check_regular(path)
    with Image.open(path, formats=FORMATS) as image:
        yield image


def decoded_bytes(image: Image.Image) -> int:
    """Return the bytes that an image takes when it is decoded, by its header."""
    per_pixel = 2 if image.mode.startswith("I;16") else _BYTES_PER_PIXEL.get(image.mode, 4)
    return max(image.width * image.height, _tile_pixels(image)) * per_pixel


def check_decoded_size(path: str | Path, image: Image.Image) -> None:
    """Refuse an image that would take more memory than there is for it.

    Raises:
        UserError: naming the file and the budget.
    """
    check_room(path, decoded_bytes(image), size_of(image))


def size_of(image: Image.Image) -> str:
    """Return the size of an image in words."""
    return f"an image of {image.width} x {image.height} pixels"


def _tile_pixels(image: Image.Image) -> int:
    """Return the pixels of a tile, which a TIFF file may make larger than the image."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return 0
    width, height = tags.get(_TILE_WIDTH, 0), tags.get(_TILE_HEIGHT, 0)
    return width * height if isinstance(width, int) and isinstance(height, int) else 0
