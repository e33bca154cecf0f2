"""Rotated MNIST: each angle is a domain."""

from __future__ import annotations

import torch

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.digits import DIGITS, PARITIES
from jlrun.data.datasets.mnist_part import SIZE, MnistPart, load_mnist_part
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.ranges import NonNegativeInt, PositiveInt

_ROWS_AT_ONCE = 4096


def load_rotated_mnist(
    root: str,
    angle: float = 0.0,
    part: NonNegativeInt = 0,
    parts: PositiveInt = 1,
    download: bool = True,
) -> Dataset:
    """Return MNIST's digits turned by one angle.

    Ghifary et al., "Domain Generalization for Object Recognition with Multi-task Autoencoders",
    ICCV 2015, as in DomainBed (Gulrajani & Lopez-Paz, "In Search of Lost Domain Generalization",
    ICLR 2021): 0, 15, 30, 45, 60 and 75 degrees, bilinear, and no image in two domains: for that,
    give the domains ``parts=6`` and the parts 0 to 5. Differs from it in: the official test split
    stays separate, and parts are every sixth image, not a random sixth of all 70,000.

    Args:
        root: the folder that torchvision's MNIST takes: the files are in ``root/MNIST/raw``.
        angle: in degrees, counter-clockwise.
        part: which part of the images, from 0.
        parts: how many parts there are; 1: all images.
        download: whether to download missing files.

    Returns:
        image uint8 ``(1, 28, 28)``; tasks ``digit`` and ``parity``, int64.

    Raises:
        UserError: for a part out of range; if files of MNIST are missing and can't be downloaded,
            or are damaged.
    """
    splits = load_mnist_part(root, download, part, parts)
    return Dataset(
        train=_rotated(splits["train"], angle),
        test=_rotated(splits["test"], angle),
        modalities={"image": ImageSpec(1, SIZE, SIZE, mean=(), std=())},
        classes={"digit": DIGITS, "parity": PARITIES},
    )


def _rotated(part: MnistPart, angle: float) -> TensorRows:
    # torchvision takes a while to import, and a config can be checked without it.
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import rotate

    bilinear = InterpolationMode.BILINEAR
    images = [rotate(some, angle, bilinear) for some in part.images.split(_ROWS_AT_ONCE)]
    return TensorRows({"image": torch.cat(images)}, {"digit": part.digit, "parity": part.digit % 2})
