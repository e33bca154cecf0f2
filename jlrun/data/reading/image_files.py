"""Image files as rows, decoded to one size when fetched; values of more than 8 bits to 8 bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from jlrun.data.reading.decoded import decoded
from jlrun.data.reading.image_decoding import decoded_bytes, open_image, size_of
from jlrun.data.reading.image_fit import composed, fitted
from jlrun.data.rows import FileRows
from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError
from jlrun.files.limits import room_for

Channels = Literal[1, 3]
_BITS_PER_SAMPLE = 258  # TIFF tag
_WHOLE_RANGE = 65_535  # of 16 bits


def image_rows(
    paths: Sequence[Path],
    targets: Mapping[str, Tensor],
    spec: ImageSpec,
    labelled: Mapping[str, Tensor] | None = None,
) -> FileRows:
    """Return rows of modality ``image``, uint8 ``(channels, height, width)`` of ``spec``."""
    return FileRows(
        decoder := ImageDecoder([str(path) for path in paths], spec),
        targets,
        row_bytes=spec.channels * spec.height * spec.width,
        files=decoder.files,
        labelled=labelled,
    )


class ImageDecoder:
    """Decoder from row index to image, which can be sent to other processes."""

    def __init__(self, paths: Sequence[str], spec: ImageSpec) -> None:
        self._paths = list(paths)
        self._spec = spec

    def __call__(self, row: int) -> dict[str, Tensor]:
        return {"image": read_picture(self._paths[row], self._spec)}

    def files(self, row: int) -> tuple[str, ...]:
        """Return the file that a row is read from."""
        return (self._paths[row],)


def square(size: int, channels: Channels) -> ImageSpec:
    """Return the spec of square images whose statistics are not measured yet."""
    return ImageSpec(channels, size, size, (), ())


def read_image(path: str | Path, size: int, channels: Channels) -> Tensor:
    """Read an image file as uint8 ``(channels, size, size)``, as `read_picture`."""
    return read_picture(path, square(size, channels))


def read_picture(path: str | Path, spec: ImageSpec) -> Tensor:
    """Read an image file as uint8 ``(channels, height, width)`` of ``spec``.

    Cameras' orientation marks are followed. Transparent pixels are composed on the background, and
    the image is brought to the size (`jlrun.data.reading.image_fit`). Gray of more than 8 bits is
    scaled (`to_eight_bits`); of an animation or of several pages the first is read.

    Raises:
        UserError: naming the file, if it is missing, unreadable, damaged or not a regular file,
            exceeds the memory budget, or has values whose range is unknown.
    """
    shape = (spec.channels, spec.height, spec.width)
    form = ("image", *shape, spec.resize, spec.background)
    return decoded(path, form, shape, torch.uint8, lambda: _decode(path, spec))


def _decode(path: str | Path, spec: ImageSpec) -> Tensor:
    mode, size = "RGB" if spec.channels == 3 else "L", (spec.width, spec.height)
    try:
        with open_image(path) as image:
            # JPEGs far larger than needed are decoded at a fraction of their size.
            image.draft(mode, size)
            with room_for(path, decoded_bytes(image), size_of(image)):
                image.load()
                ImageOps.exif_transpose(image, in_place=True)
                whole = in_mode(image, mode, spec.background)
                pixels = np.array(fitted(whole, size, spec.resize, spec.background))
    except UnclearValues as error:
        fix = "save it as gray or RGB of 8 or 16 bits"
        raise UserError.of(str(path), f"{error}; {fix}") from error
    except UserError:
        raise
    except PermissionError as error:
        raise UserError.of(str(path), f"can't be read: {error.strerror}") from error
    except Exception as error:  # Pillow raises many types of errors for damaged files
        raise UserError.of(
            str(path), f"not a readable image ({_reason(error)}); replace or delete the file"
        ) from error
    layers = pixels.reshape(spec.height, spec.width, Image.getmodebands(mode))
    return torch.from_numpy(layers).permute(2, 0, 1).contiguous()


def in_mode(image: Image.Image, mode: str, background: str) -> Image.Image:
    """Return an image of any mode as ``RGB`` or ``L``, on a colour where it is transparent.

    Raises:
        UnclearValues: as `to_eight_bits`.
    """
    image = composed(to_eight_bits(image), background)
    if image.mode == "LAB":  # Pillow converts it to colour only
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "unknown format"
    return " ".join(str(error).split()) or type(error).__name__


class UnclearValues(ValueError):
    """The file does not define the values of black and white."""


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Return the image with values of 8 bits, in a mode that has them.

    - 16-bit gray: the high byte; of 12 bits in 16, as TIFF has them, the highest 8.
    - floats: from 0 (black) to 1 (white), or to 255 in images that have values of 2 and more; a
      maximum just above 1 would be read as nearly black, and is an error.
    - 32-bit integers: as 16 bits, if some are above 255. Others are an error: their range is not
      defined, and a guess for each file would make files of one data set differ.

    Raises:
        UnclearValues: for floats outside [0, 255] or not finite, and for other integers.
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
        raise UnclearValues("has floats that are not finite")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 255 or 1 < high < 2:
        raise UnclearValues(f"has floats from {low:g} to {high:g}; expected 0 to 1, or to 255")
    return _gray((values * (255 if high <= 1 else 1)).round())


def _from_integers(values: np.ndarray, known: bool) -> Image.Image:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > _WHOLE_RANGE or (0 < high <= 255 and not known):
        raise UnclearValues(
            f"has 32-bit integers from {low} to {high}, whose value for white is unknown"
        )
    return _gray(values >> 8)


def _gray(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8))
