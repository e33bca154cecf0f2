"""Image folder: images of users, sorted into folders by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.image_layout import (
    UNLABELLED,
    WHERE,
    folder_names,
    image_paths,
    split_folders,
    wrong_layout,
)
from jlrun.data.datasets.image_report import ImageReport, OnError
from jlrun.data.reading.image_files import Channels, image_rows
from jlrun.data.reading.image_fit import Colour
from jlrun.data.reading.image_names import EXTENSIONS
from jlrun.data.specs import BACKGROUND, ImageSpec, Resize
from jlrun.errors import Problem, UserError, did_you_mean
from jlrun.ranges import PositiveInt
from jlrun.wording import counted


def load_imagefolder(
    root: str,
    size: PositiveInt = 32,
    channels: Channels = 3,
    mean: list[float] | None = None,
    std: list[float] | None = None,
    resize: Resize = "crop",
    background: Colour = BACKGROUND,
    on_error: OnError = "fail",
) -> Dataset:
    """Return the images below ``root``, with the task ``label``: the name of their folder.

    The layout is ``root/{train,val,test}/<class>/*``, where val and test may be missing, or
    ``root/<class>/*``. Classes are those of the training images, in the order of their names.
    Images in ``root/unlabelled``, with or without ``train``, are training images without a label,
    as are all where ``train``, or ``root``, has no class folders. The classes then are those of all
    splits. Images may be in folders within a class folder; hidden files and files without an
    image's extension are skipped. Nothing is decoded yet.

    Args:
        root: the folder.
        size: height and width of the images, to which they are resized.
        channels: 3 for RGB, 1 for gray.
        mean: of each channel, for values in [0, 1]; None: measured.
        std: likewise.
        resize: ``crop`` to a square first, ``pad`` to one, or ``squeeze`` into one.
        background: colour of the padding and under transparent pixels.
        on_error: ``fail`` for files that can't be read, or ``skip`` them.

    Raises:
        UserError: naming the folder that is missing, empty or laid out in another way.
    """
    statistics = _statistic("mean", mean, channels), _statistic("std", std, channels)
    spec = ImageSpec(channels, size, size, *statistics, resize, background)
    folders = split_folders(Path(root).expanduser())
    loose = _without_labels(folders)
    if loose:
        labelled = [folder for folder in folders.values() if folder not in loose]
        classes = tuple(sorted({name for folder in labelled for name in folder_names(folder)}))
    else:
        classes = _class_names(folders["train"])
    found = {split: _paths(f, classes, split) for split, f in folders.items() if f not in loose}
    _add_unlabelled(found, loose)
    paths = [path for images in found.values() for path, _ in images]
    report = ImageReport.of(paths, spec, on_error)
    found = {
        split: report.left(images, classes, every=split == "train")
        for split, images in found.items()
    }
    splits = {
        split: image_rows(*_columns(images), spec, _masks(images))
        for split, images in found.items()
    }
    known = any(label is not None for _, label in found["train"])
    return Dataset(
        train=splits["train"],
        val=splits.get("val"),
        test=splits.get("test"),
        modalities={"image": spec},
        classes={"label": classes},
        incomplete=_incomplete(folders["train"], classes) if known else _no_label(loose[0]),
        report=report,
    )


def _class_names(folder: Path) -> tuple[str, ...]:
    names = tuple(folder_names(folder))
    if not names:
        loose = next(image_paths(folder), None)
        raise wrong_layout(
            folder,
            folder,
            "is empty" if loose is None else f"has images ({loose.name}) but no class folders",
        )
    return names


def _incomplete(folder: Path, classes: tuple[str, ...]) -> Problem | None:
    if len(classes) != 1:
        return None
    (only,) = classes
    hint = f"; did you mean '{folder / only}'?" if folder_names(folder / only) else ""
    found = f"'{folder}' has only one class, '{only}'; put each in its folder{hint}"
    return Problem(WHERE, found)


Images = list[tuple[Path, int | None]]


def _without_labels(folders: Mapping[str, Path]) -> list[Path]:
    """Return the folders of training images without class folders."""
    train = folders["train"]
    bare = (
        train.name != UNLABELLED
        and not folder_names(train)
        and any(True for _ in image_paths(train))
    )
    found = [train] if bare or train.name == UNLABELLED else []
    return [*found, *([folders[UNLABELLED]] if UNLABELLED in folders else [])]


def _add_unlabelled(found: dict[str, Images], loose: Sequence[Path]) -> None:
    """Add the images without labels to those of training."""
    images: Images = [(path, None) for folder in loose for path in sorted(image_paths(folder))]
    if loose and not images:
        raise UserError.of(str(loose[0]), f"no images in this folder; {_expected()}")
    found.pop(UNLABELLED, None)
    found["train"] = [*found.get("train", []), *images]


def _columns(images: Images) -> tuple[list[Path], dict[str, torch.Tensor]]:
    paths = [path for path, _ in images]
    return paths, {"label": torch.tensor([label or 0 for _, label in images])}


def _masks(images: Images) -> dict[str, torch.Tensor]:
    """Return the mask of labelled images, if some have no label."""
    known = torch.tensor([label is not None for _, label in images])
    return {} if bool(known.all()) else {"label": known}


def _no_label(folder: Path) -> Problem:
    first = next(image_paths(folder))
    found = f"has images ({first.name}) but no class folders"
    return wrong_layout(folder, folder, found).problems[0]


def _paths(folder: Path, classes: tuple[str, ...], split: str) -> Images:
    found: Images = []
    for name in folder_names(folder):
        if name not in classes:
            hint = did_you_mean(name, classes)
            raise UserError.of(
                str(folder / name), f"no such class among the training images.{hint}"
            )
        images = sorted(image_paths(folder / name))
        if not images and split == "train":
            raise UserError.of(str(folder / name), f"no images in this class folder; {_expected()}")
        found += [(image, classes.index(name)) for image in images]
    if not found:
        raise UserError.of(
            str(folder), f"no class folders with images; fill or delete it; {_expected()}"
        )
    return found


def _statistic(name: str, values: list[float] | None, channels: int) -> tuple[float, ...]:
    if values is not None and len(values) != channels:
        raise UserError.of(
            name, f"{counted(len(values), 'value')} for channels={channels}; give one per channel"
        )
    if name == "std" and any(value <= 0 for value in values or ()):
        raise UserError.of(name, f"{values} must be positive")
    return tuple(values or ())


def _expected() -> str:
    return f"images end in {', '.join(EXTENSIONS)}"
