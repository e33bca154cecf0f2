"""Classification sets of torchvision."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.torchvision_catalogue import CATALOGUE, Entry
from jlrun.data.reading.image_files import image_rows, square
from jlrun.data.rows import Rows, TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.data.transforms import resize
from jlrun.errors import UserError, did_you_mean
from jlrun.files.regular import check_regular
from jlrun.ranges import PositiveInt
from jlrun.wording import counted

Name = Literal[
    "MNIST",
    "FashionMNIST",
    "KMNIST",
    "EMNIST",
    "QMNIST",
    "USPS",
    "SEMEION",
    "SVHN",
    "CIFAR10",
    "CIFAR100",
    "STL10",
    "OxfordIIITPet",
    "Flowers102",
    "GTSRB",
    "Food101",
    "DTD",
    "EuroSAT",
    "FGVCAircraft",
    "Caltech101",
    "Caltech256",
    "Country211",
    "Imagenette",
    "RenderedSST2",
    "SUN397",
    "StanfordCars",
]
assert get_args(Name) == tuple(CATALOGUE)

_ROWS_AT_ONCE = 1024
_log = logging.getLogger(__name__)


def load_torchvision(
    name: Name,
    root: str,
    download: bool = True,
    size: PositiveInt | None = None,
    variant: str | int | None = None,
) -> Dataset:
    """Return a classification set with its official splits.

    Images are uint8 ``(C, H, W)``. The main task is ``digit`` for sets of digits and ``label`` for
    others, int64; some sets have more tasks, derived from it.

    Args:
        name: of the torchvision class.
        root: the folder that torchvision takes.
        download: whether to download missing files.
        size: height and width in pixels; None: unchanged, for sets with images of one size.
        variant: name of the variant, for sets that have several.

    Raises:
        UserError: if files are missing and can't be downloaded, or are damaged; it names them.
    """
    entry = _entry(name, None if variant is None else str(variant))
    folder = Path(root).expanduser()
    _provide(name, entry, folder, download)
    train, classes = _read_split(name, entry, "train", folder, size)
    others = {
        split: _read_split(name, entry, split, folder, size)[0]
        for split in entry.splits
        if split != "train"
    }
    _, channels, height, width = train.fetch(torch.tensor([0])).inputs["image"].shape
    return Dataset(
        train=train,
        val=others.get("val"),
        test=others.get("test"),
        modalities={"image": ImageSpec(channels, height, width, mean=(), std=())},
        classes={entry.task: classes, **{d.name: tuple(d.members) for d in entry.derived}},
    )


def _entry(name: str, variant: str | None) -> Entry:
    if name not in CATALOGUE:
        raise UserError.of("name", f"unknown data set '{name}'.{did_you_mean(name, CATALOGUE)}")
    entry = CATALOGUE[name]
    if variant is None and entry.variants:
        return entry.of_variant(next(iter(entry.variants)))
    if variant is not None and variant not in entry.variants:
        hint = did_you_mean(variant, entry.variants) or " Use null."
        raise UserError.of("variant", f"{name} has no variant '{variant}'.{hint}")
    return entry.of_variant(variant)


def _provide(name: str, entry: Entry, root: Path, download: bool) -> None:
    """Make sure that the files exist."""
    missing = entry.missing(root)
    if not missing:
        return
    needs = f"{name} needs {', '.join(missing)} in {root / entry.folder}"
    if not entry.downloadable:
        raise _at(root, f"{needs}; torchvision can't download this one: get it from its authors")
    if not download:
        raise _at(root, f"{needs}; set data_root to where they are, or download=true")
    _log.info("downloading %s to %s", name, root)
    try:
        with no_empty_folders_left(root / entry.folder), quiet_download():
            for keys in entry.splits.values():
                _torchvision_class(name)(root, **keys, download=True)
    except Exception as error:  # errors of the network, archives and the disk have many types
        raise _at(root, f"{needs}; download failed: {reason(error)}") from error


def _read_split(
    name: str, entry: Entry, split: str, root: Path, size: int | None
) -> tuple[Rows, tuple[str, ...]]:
    """Return the rows of one split, and the classes of the main task."""
    for file in entry.files:
        path = root / entry.folder / file
        if path.exists() and not path.is_dir():
            check_regular(path)
    try:
        # One class downloads by default.
        source = _torchvision_class(name)(root, **entry.splits[split], download=False)
        classes = entry.classes or class_names(source)
        if is_in_memory(source):
            images, label = read_images(source), read_labels(source)
            _check(label, len(images), len(classes))
            return TensorRows(
                {"image": _resized(images, size)}, _columns(entry, label, classes)
            ), classes
        paths, label = paths_and_labels(source)
        _check(label, len(paths), len(classes))
    except Exception as error:  # readers raise many types of errors for damaged files
        raise _at(
            root,
            f"the {split} split of {name} can't be read ({reason(error)}); delete "
            f"{', '.join(entry.files)} in {root / entry.folder} and get them anew",
        ) from error
    if size is None:
        raise UserError.of("size", f"{name} has images of many sizes; give one, such as size=64")
    return image_rows(paths, _columns(entry, label, classes), square(size, 3)), classes


def _columns(entry: Entry, label: Tensor, classes: tuple[str, ...]) -> dict[str, Tensor]:
    derived = {d.name: torch.tensor(d.table(classes))[label] for d in entry.derived}
    return {entry.task: label, **derived}


def _check(label: Tensor, num_images: int, num_classes: int) -> None:
    if len(label) != num_images:
        raise ValueError(f"{counted(num_images, 'image')}, but {counted(len(label), 'label')}")
    if not num_images:
        raise ValueError("no images")
    wrong = label[(label < 0) | (label >= num_classes)]
    if len(wrong):
        raise ValueError(f"label {int(wrong[0])} is outside 0..{num_classes - 1}")


def _resized(images: Tensor, size: int | None) -> Tensor:
    """Return uint8 ``(N, C, size, size)``."""
    if size is None or images.shape[2:] == (size, size):
        return images
    chunks = (resize(chunk.float(), size, size) for chunk in images.split(_ROWS_AT_ONCE))
    return torch.cat([chunk.round_().clamp_(0, 255).byte() for chunk in chunks])


def _torchvision_class(name: str) -> Any:
    # torchvision takes a while to import, and a config can be checked without it.
    from torchvision import datasets

    return getattr(datasets, name)


def _at(root: Path, message: str) -> UserError:
    return UserError.of(f"data_root={root}", message)


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
