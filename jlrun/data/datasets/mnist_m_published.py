"""MNIST-M as published: image files, and a list of labels for each split."""

from __future__ import annotations

from pathlib import Path

import torch

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.digits import DIGITS, PARITIES
from jlrun.data.datasets.image_lists import read_image_list
from jlrun.data.reading.image_files import image_rows
from jlrun.data.rows import FileRows
from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError
from jlrun.ranges import PositiveInt

SOURCE = "http://yaroslav.ganin.net"


def load_published_mnist_m(root: str, size: PositiveInt = 32) -> Dataset:
    """Return the 59,001 training and 9,001 test images of MNIST-M, with their official split.

    Ganin & Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", ICML 2015. In
    ``root/mnist_m``, the images are in ``mnist_m_{train,test}``, and
    ``mnist_m_{train,test}_labels.txt`` has lines like ``00000000.png 5``.

    Args:
        root: the folder above ``mnist_m``.
        size: height and width to which images are resized; they have 32.

    Returns:
        image uint8 ``(3, size, size)``; tasks ``digit`` and ``parity``, int64.

    Raises:
        UserError: naming what is missing, or the line of a list that is wrong.
    """
    folder = Path(root).expanduser() / "mnist_m"
    if not folder.is_dir():
        raise UserError.of(
            f"data_root={root}",
            f"has no folder 'mnist_m' with mnist_m_train and mnist_m_train_labels.txt; it is at "
            f"{SOURCE}. dataset=mnist_m makes the like from MNIST",
        )
    return Dataset(
        train=_split(folder, "train", size),
        test=_split(folder, "test", size),
        modalities={"image": ImageSpec(3, size, size, mean=(), std=())},
        classes={"digit": DIGITS, "parity": PARITIES},
    )


def _split(folder: Path, split: str, size: int) -> FileRows:
    labels = folder / f"mnist_m_{split}_labels.txt"
    listed = read_image_list(labels)
    digit = torch.tensor(listed.numbers)
    if int(digit.max()) >= len(DIGITS):
        raise UserError.of(str(labels), f"has the label {int(digit.max())}; expected 0 to 9")
    paths = [folder / f"mnist_m_{split}" / name for name in listed.names]
    return image_rows(paths, {"digit": digit, "parity": digit % 2}, size, channels=3)
