"""CelebA: faces with forty binary attributes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from jlrun.data.dataset import Dataset
from jlrun.data.reading.image_files import image_rows, square
from jlrun.data.rows import FileRows
from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError
from jlrun.files.regular import check_regular
from jlrun.ranges import PositiveInt

FOLDER = "celeba"
ATTRIBUTES = "list_attr_celeba.txt"
PARTITION = "list_eval_partition.txt"
IMAGES = "img_align_celeba"
SOURCE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
ANSWERS = ("no", "yes")
_PART = {"train": 0, "val": 1, "test": 2}


def load_celeba(root: str, size: PositiveInt = 64) -> Dataset:
    """Return 202,599 faces with a binary task for each of 40 attributes, in lower case.

    Liu et al., "Deep Learning Face Attributes in the Wild", ICCV 2015: aligned and cropped images
    with the official splits, in the layout of torchvision: ``root/celeba`` holds
    ``list_attr_celeba.txt``, ``list_eval_partition.txt`` and ``img_align_celeba/*.jpg``. Images are
    decoded on demand. Multi-task papers (from Sener & Koltun, NeurIPS 2018, on) squeeze
    the 178 x 218 pixels to 64 x 64; here the largest centred square is resized.

    Args:
        root: the folder above ``celeba``.
        size: height and width to which images are cropped and resized.

    Returns:
        image uint8 ``(3, size, size)``; 40 tasks, int64 0 or 1, in the order of the file.

    Raises:
        UserError: naming the file that is missing or damaged.
    """
    folder = Path(root).expanduser() / FOLDER
    _check_layout(folder)
    table = _read_attributes(folder / ATTRIBUTES)
    parts = _read_partition(folder / PARTITION, table.index)
    _check_images(folder / IMAGES, str(table.index[0]))
    rows = {
        name: _rows(table.loc[parts == part], folder / IMAGES, size)
        for name, part in _PART.items()
        if (parts == part).any()
    }
    if "train" not in rows:
        raise UserError.of(str(folder / PARTITION), "has no training image (0); get it anew")
    return Dataset(
        train=rows["train"],
        val=rows.get("val"),
        test=rows.get("test"),
        modalities={"image": ImageSpec(3, size, size, mean=(), std=())},
        classes=dict.fromkeys(table.columns, ANSWERS),
    )


def _check_layout(folder: Path) -> None:
    missing = [name for name in (ATTRIBUTES, PARTITION, IMAGES) if not (folder / name).exists()]
    if missing:
        raise UserError.of(
            f"data_root={folder.parent}",
            f"CelebA needs {', '.join(missing)} in {folder}; get the aligned and cropped images, "
            f"attributes and partition from {SOURCE}, and unpack {IMAGES}.zip there",
        )


def _check_images(folder: Path, first: str) -> None:
    if not (folder / first).is_file():
        raise UserError.of(str(folder), f"has no {first}; unpack {IMAGES}.zip so that it does")


def _read_attributes(path: Path) -> pd.DataFrame:
    """Return image -> attribute -> 1 or -1; the file has a count, names, a line for each image."""
    table = _read(path, skiprows=1)
    if len(table) == 0:
        raise _damaged(path, "it lists no images")
    wrong = ~table.isin([-1, 1]).to_numpy()
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        reason = f"{table.index[row]} has neither 1 nor -1 for {table.columns[column]}"
        raise _damaged(path, reason)
    return table.rename(columns=str.lower)


def _read_partition(path: Path, images: pd.Index) -> pd.Series:
    """Return image -> 0, 1 or 2, for ``images``, in their order."""
    table = _read(path, header=None, index_col=0)
    if table.shape[1] != 1 or not table.index.is_unique:
        raise _damaged(path, "expected an image and a number in each line, every image once")
    parts = table.iloc[:, 0].reindex(images)
    wrong = ~parts.isin(_PART.values())
    if wrong.any():
        raise _damaged(path, f"{wrong.idxmax()} is not assigned to 0, 1 or 2")
    return parts


def _read(path: Path, **options: int | None) -> pd.DataFrame:
    check_regular(path)
    try:
        return pd.read_csv(path, sep=r"\s+", **options)  # pyright: ignore[reportCallIssue,reportArgumentType]
    except (OSError, ValueError) as error:
        raise _damaged(path, " ".join(str(error).split())) from error


def _rows(table: pd.DataFrame, folder: Path, size: int) -> FileRows:
    targets = {
        str(name): torch.from_numpy((column == 1).to_numpy().astype("int64"))
        for name, column in table.items()
    }
    return image_rows([folder / str(name) for name in table.index], targets, square(size, 3))


def _damaged(path: Path, reason: str) -> UserError:
    return UserError.of(str(path), f"can't be used ({reason}); get it anew from {SOURCE}")
