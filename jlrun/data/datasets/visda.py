"""VisDA-2017: renderings of twelve kinds of objects, and photos of them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.domain_folders import (
    CHANNELS,
    check_first,
    find_folder,
    folder_rows,
    labelled_photos,
    subfolders,
)
from jlrun.data.datasets.image_lists import read_image_list
from jlrun.data.reading.image_files import image_rows
from jlrun.data.rows import FileRows
from jlrun.errors import UserError
from jlrun.ranges import PositiveInt

SOURCE = "https://github.com/VisionLearningGroup/taskcv-2017-public"
FOLDERS = ("visda", "visda17", "visda2017", "visda-2017", "VisDA-2017", "")
LIST = "image_list.txt"
CLASSES = (
    *("aeroplane", "bicycle", "bus", "car", "horse", "knife"),
    *("motorcycle", "person", "plant", "skateboard", "train", "truck"),
)


def load_visda(
    root: str,
    domain: Literal["train", "validation", "test"],
    size: PositiveInt = 224,
    mean: list[float] | None = None,
    std: list[float] | None = None,
) -> Dataset:
    """Return one domain of VisDA-2017, with the task ``label``: one of 12 kinds of objects.

    Peng et al., "VisDA: The Visual Domain Adaptation Challenge", arXiv 2017, classification track:
    its splits are domains here. The layout is that of its archives, ``<domain>/<class>/*``
    below ``root/visda`` (or visda17, visda2017, visda-2017, VisDA-2017) or ``root``. The archive of
    ``test`` has no classes: its labels are lines like ``trunk01/18ea….jpg 11`` of the published
    ``image_list.txt``, which is expected in ``test`` or next to it. There is no official split
    within a domain.

    Args:
        root: the folder above the data set.
        domain: train has 152,397 renderings, validation 55,388 crops of MS COCO, test 72,372 of
            YouTube-BoundingBoxes.
        size: height and width to which images are cropped and resized.
        mean: of each channel, for values in [0, 1]; None: measured.
        std: likewise.

    Raises:
        UserError: naming the folder or list that is missing, empty or laid out in another way.
    """
    folder = find_folder(root, FOLDERS, [domain], "of VisDA-2017", f"it is at {SOURCE}")
    sorted_by_class = any(name in CLASSES for name in subfolders(folder))
    if domain == "test" and not sorted_by_class:
        rows = _numbered_rows(folder, size)
    else:
        rows = folder_rows(folder, CLASSES, size)
    return labelled_photos((rows, None, None), CLASSES, size, mean, std)


def _numbered_rows(folder: Path, size: int) -> FileRows:
    path = next((p for p in (folder / LIST, folder.parent / LIST) if p.is_file()), None)
    if path is None:
        raise UserError.of(
            str(folder / LIST),
            f"is missing: it has the labels of the test images; it is classification/data/{LIST} "
            f"of {SOURCE}",
        )
    listed = read_image_list(path)
    if max(listed.numbers) >= len(CLASSES):
        raise UserError.of(str(path), f"has the label {max(listed.numbers)}; expected 0 to 11")
    check_first(path, folder, listed.names)
    paths = [folder / name for name in listed.names]
    return image_rows(paths, {"label": torch.tensor(listed.numbers)}, size, CHANNELS)
