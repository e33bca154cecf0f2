"""Opening of image files, for all readers: formats, and limits on memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from jlrun.files.limits import check_room
from jlrun.files.regular import check_regular

# Pillow opens files by content: an EPS file named x.png would start Ghostscript.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_WITH_FRAMES = (".gif", ".tif", ".tiff", ".webp")
_TILE_WIDTH, _TILE_HEIGHT = 322, 323  # TIFF tags
# Pillow stores every colour pixel in four bytes.
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1}

# `check_room` replaces that limit by the memory budget.
Image.MAX_IMAGE_PIXELS = None


@contextmanager
def open_image(path: str | Path) -> Iterator[Image.Image]:
    """Open an image without decoding it; of an animated one, or of several pages, the first.

    Raises:
        UserError: if it is not a regular file.
        OSError, ValueError, …: whatever Pillow raises for a damaged header.
    """
    check_regular(path)
    with Image.open(path, formats=FORMATS) as image:
        yield image


def frames_beyond_first(path: str | Path) -> bool:
    """Whether an animation (GIF, WebP) or a TIFF has frames or pages that are not read.

    False of one that can't be opened.
    """
    if Path(path).suffix.lower() not in _WITH_FRAMES:
        return False
    try:
        with open_image(path) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # reported when it is read
        return False


def decoded_bytes(image: Image.Image) -> int:
    """Return the size of the decoded image in bytes, by its header."""
    per_pixel = 2 if image.mode.startswith("I;16") else _BYTES_PER_PIXEL.get(image.mode, 4)
    return max(image.width * image.height, _tile_pixels(image)) * per_pixel


def check_decoded_size(path: str | Path, image: Image.Image) -> None:
    """Check that the decoded image fits in the memory budget.

    Raises:
        UserError: naming the file and the budget.
    """
    check_room(path, decoded_bytes(image), size_of(image))


def size_of(image: Image.Image) -> str:
    """Return the size of an image in words."""
    return f"an image of {image.width} x {image.height} pixels"


def _tile_pixels(image: Image.Image) -> int:
    """Return the pixels of a tile, which may be larger than the image in TIFF files."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return 0
    width, height = tags.get(_TILE_WIDTH, 0), tags.get(_TILE_HEIGHT, 0)
    return width * height if isinstance(width, int) and isinstance(height, int) else 0
