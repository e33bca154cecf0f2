"""Digits: real handwritten digits bundled with scikit-learn; a first run needs no network."""

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec

DIGITS = tuple("0123456789")
PARITIES = ("even", "odd")


def load_digits() -> Dataset:
    """Return 1,797 handwritten digits of 8 x 8 pixels with their value and parity.

    The test part of Alpaydin & Kaynak, "Optical Recognition of Handwritten Digits", UCI 1998, as
    bundled with scikit-learn. There is no official test split.

    Returns:
        image uint8 ``(1, 8, 8)``, 0 to 255; tasks ``digit`` and ``parity``, int64.
    """
    images, digit = digit_images()
    return Dataset(
        train=TensorRows({"image": images}, {"digit": digit, "parity": digit % 2}),
        modalities={"image": ImageSpec(1, images.shape[2], images.shape[3], mean=(), std=())},
        classes={"digit": DIGITS, "parity": PARITIES},
    )


def digit_images() -> tuple[Tensor, Tensor]:
    """Return the images, uint8 ``(1797, 1, 8, 8)``, and the digits they show, int64 ``(1797,)``."""
    from sklearn.datasets import load_digits as bundled

    sixteenths, digit = bundled(return_X_y=True)
    pixels = torch.as_tensor(sixteenths).reshape(-1, 1, 8, 8)  # values are 0 to 16
    return (pixels * (255 / 16)).round().to(torch.uint8), torch.as_tensor(digit).long()
