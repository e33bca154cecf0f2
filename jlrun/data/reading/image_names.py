"""Names of image files. No PyTorch is imported."""

from __future__ import annotations

from pathlib import Path

_NAMES = ("bmp", "gif", "jpeg", "jpg", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp")
EXTENSIONS = tuple(f".{name}" for name in _NAMES)


def is_image_name(name: str) -> bool:
    """Whether a file name has an ending of images, in upper or lower case."""
    return Path(name).suffix.lower() in EXTENSIONS
