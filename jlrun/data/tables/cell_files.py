"""Files that the cells of a table name: readers, and checks before training."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from jlrun.data.reading.audio import read_audio
from jlrun.data.reading.image_files import read_image
from jlrun.data.specs import AudioSpec, ImageSpec, SeriesSpec, Spec
from jlrun.data.tables.files.conversion import CheckFile
from jlrun.data.tables.files.media import read_array
from jlrun.data.transforms import resize
from jlrun.errors import UserError, shortened
from jlrun.files.regular import why_not_regular


def read_picture(path: Path, spec: ImageSpec) -> Tensor:
    """Return an image, uint8 ``(channels, height, width)``."""
    channels = 3 if spec.channels == 3 else 1
    image = read_image(path, max(spec.height, spec.width), channels)
    if image.shape[1:] == (spec.height, spec.width):
        return image
    fitted = resize(image[None].float(), spec.height, spec.width)[0]
    return fitted.round().clamp(0, 255).to(torch.uint8)


def read_series(path: Path, spec: SeriesSpec) -> Tensor:
    """Return a series, float64 ``(length, channels)``: cut, or padded with NaN, at the end.

    Raises:
        UserError: if it can't be read, or has another number of channels.
    """
    try:
        array = read_array(path)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError.of(str(path), f"not a readable series ({reason})") from error
    if array.shape[1] != spec.channels:
        found = f"{array.shape[1]} numbers in a step; expected {spec.channels}"
        raise UserError.of(str(path), found)
    series = torch.full((spec.length, spec.channels), torch.nan, dtype=torch.float64)
    steps = min(spec.length, len(array))
    series[:steps] = torch.from_numpy(array[:steps])
    return series


def checks(specs: Mapping[str, Spec]) -> dict[str, CheckFile]:
    """Return kind of file -> check that reads such a file and returns why it can't be used."""
    return {kind: _check_of(spec) for kind, spec in specs.items()}


def _check_of(spec: Spec) -> CheckFile:
    match spec:
        case ImageSpec():
            return _check("corrupt image", lambda path: read_picture(path, spec))
        case AudioSpec():
            return _check("unreadable audio", lambda path: read_audio(path, spec))
        case SeriesSpec():
            return _check("unreadable series", lambda path: read_series(path, spec))
        case _:
            raise AssertionError(f"no file holds {type(spec).__name__}")


def _check(reason: str, read: Callable[[Path], Tensor]) -> CheckFile:
    def check(path: Path) -> tuple[str, str] | None:
        if not os.path.isfile(path):  # os.path takes names that no file can have
            if not os.path.exists(path):
                return "missing file", f"there is no {shortened(str(path))}"
            found = "a folder" if os.path.isdir(path) else why_not_regular(path)
            return "missing file", str(found)
        try:
            read(path)
        except UserError as error:
            return reason, error.problems[0].message
        return None

    return check
