"""Which files a cell can name, by the end of the name."""

from __future__ import annotations

IMAGES = ("bmp", "gif", "jpeg", "jpg", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp")
AUDIO = ("wav", "flac", "ogg", "mp3")
SERIES = ("npy", "csv", "tsv")

MEDIA = ("image", "audio", "series")
KIND_OF_SUFFIX = {
    **{f".{suffix}": "image" for suffix in IMAGES},
    **{f".{suffix}": "audio" for suffix in AUDIO},
    **{f".{suffix}": "series" for suffix in SERIES},
}
