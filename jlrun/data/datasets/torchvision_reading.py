"""Labels, images and names from torchvision's data set objects, and quiet downloads."""

from __future__ import annotations

import contextlib
import io
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

_LABELS = ("targets", "labels", "_labels", "y")
_PAIRS = ("_samples", "samples")
_PATHS = ("_image_files", "_images")


TIMEOUT_SECONDS = 10.0


def is_in_memory(source: Any) -> bool:
    """Whether the object holds its images as an array, rather than their paths."""
    return hasattr(source, "data")


def read_images(source: Any) -> Tensor:
    """Return the images of a set in memory, uint8 ``(N, C, H, W)``."""
    data = torch.as_tensor(source.data)
    if data.ndim == 3:
        data = data[:, None]
    elif data.shape[3] == 3:
        data = data.permute(0, 3, 1, 2)
    if type(source).__name__ == "EMNIST":
        data = data.transpose(2, 3)  # its files hold them mirrored about the diagonal
    return data.contiguous()


def read_labels(source: Any) -> Tensor:
    """Return the labels of a set in memory, int64 ``(N,)``."""
    found = torch.as_tensor(_first(source, _LABELS)).long()
    if type(source).__name__ == "QMNIST":
        found = found[:, 0]  # the other columns are about the writer
    if type(source).__name__ == "EMNIST" and source.split == "letters":
        found = found - 1
    return found


def paths_and_labels(source: Any) -> tuple[list[Path], Tensor]:
    """Return the images of a set on disk, in the order of their paths, and their labels."""
    pairs = _first(source, _PAIRS)
    if pairs is None:
        paths = _first(source, _PATHS)
        pairs = zip(
            _caltech(source) if paths is None else paths, _first(source, _LABELS), strict=True
        )
    # One set lists its files in the order of the file system, which differs between machines.
    ordered = sorted((Path(path), int(label)) for path, label in pairs)
    return [path for path, _ in ordered], torch.tensor([label for _, label in ordered])


def class_names(source: Any) -> tuple[str, ...]:
    """Return the names of the classes, in the order of the labels."""
    names = _first(source, ("classes", "categories"))
    # Where a class has several names, the first one is the shortest.
    names = [name if isinstance(name, str) else name[0] for name in names]
    return tuple(name for name in names if name != "N/A")


def _caltech(source: Any) -> list[str]:
    """Return the paths that Caltech101 and Caltech256 compute in ``__getitem__``."""
    is_101 = type(source).__name__ == "Caltech101"
    folder = Path(source.root) / ("101_ObjectCategories" if is_101 else "256_ObjectCategories")
    return [
        str(
            folder
            / source.categories[label]
            / (f"image_{index:04d}.jpg" if is_101 else f"{label + 1:03d}_{index:04d}.jpg")
        )
        for label, index in zip(source.y, source.index, strict=True)
    ]


def _first(source: Any, names: tuple[str, ...]) -> Any:
    return next((getattr(source, name) for name in names if hasattr(source, name)), None)


@contextlib.contextmanager
def quiet_download(timeout_seconds: float = TIMEOUT_SECONDS) -> Iterator[None]:
    """Drop connections that are silent for ``timeout_seconds``; suppress printed output."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(timeout_seconds)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def no_empty_folders_left(folder: Path) -> Iterator[None]:
    """If the block fails, remove ``folder`` and its parents that it created and left empty."""
    created = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except BaseException:
        for path in created:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def reason(error: BaseException) -> str:
    """Return the error in one line: the last line of its message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1] if lines else type(error).__name__
    return last.removeprefix("<urlopen error ").removesuffix(">")
