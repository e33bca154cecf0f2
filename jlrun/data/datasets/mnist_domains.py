"""Domains made of MNIST: rotated, where each angle is one, and coloured (a misleading hint)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.digits import DIGITS, PARITIES
from jlrun.data.datasets.torchvision_sets import load_torchvision
from jlrun.data.rows import Rows, TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError
from jlrun.ranges import NonNegativeInt, PositiveInt, Probability
from jlrun.seeding import derive_seed

SIZE = 28


@dataclass(frozen=True)
class MnistPart:
    """Images of one split.

    Attributes:
        images: uint8 ``(N, 1, 28, 28)``.
        digit: int64 ``(N,)``.
        index: position of each image in MNIST's split, int64 ``(N,)``.
        total: rows of that split.
    """

    images: Tensor
    digit: Tensor
    index: Tensor
    total: int


def load_mnist_part(root: str, download: bool, part: int, parts: int) -> dict[str, MnistPart]:
    """Return the images ``part``, ``part + parts``, … of MNIST's ``train`` and ``test`` split.

    Raises:
        UserError: for a part out of range; if files are missing and can't be downloaded, or are
            damaged.
    """
    if part >= parts:
        raise UserError.of("part", f"{part}, but parts={parts}; use 0 to {parts - 1}")
    mnist = load_torchvision("MNIST", root, download)
    assert mnist.test is not None
    return {
        split: _part(rows, part, parts)
        for split, rows in (("train", mnist.train), ("test", mnist.test))
    }


def _part(rows: Rows, part: int, parts: int) -> MnistPart:
    index = torch.arange(len(rows))[part::parts]
    if len(index) == 0:
        raise UserError.of("parts", f"{parts} parts of {len(rows)} images; use fewer")
    batch = rows.fetch(index)
    return MnistPart(batch.inputs["image"], batch.targets["digit"], index, len(rows))


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


LABELS = ("5 to 9", "0 to 4")
COLOURS = ("red", "green")
BLUE = 2


def load_coloured_mnist(
    root: str,
    e: Probability = 0.1,
    label_noise: Probability = 0.25,
    part: NonNegativeInt = 0,
    parts: PositiveInt = 1,
    seed: int = 0,
    download: bool = True,
) -> Dataset:
    """Return MNIST's digits in red or green, with a label for low or high digits.

    Section 5.2 of Arjovsky et al., "Invariant Risk Minimization", arXiv 2019. The ``label`` is 1
    for 0 to 4, but flipped in a quarter of the rows, at random; the ``colour`` is green (1) where
    the label is 1, but flipped with probability ``e``. Training domains of the paper have e = 0.1
    and 0.2, the test domain 0.9; DomainBed names them by their agreement, +90 %, +80 % and -90 %.
    Give domains different parts, so that no image is in two of them. An image has the same label in
    every domain, and one whose colour is flipped at some ``e`` stays flipped at larger ones.

    Differs from it in: 28 x 28 pixels as in DomainBed (the paper has every second one); a third,
    blue channel that is 0, for encoders of RGB images; the official test split stays separate.

    Args:
        root: the folder that torchvision's MNIST takes: the files are in ``root/MNIST/raw``.
        e: probability that the colour is not that of the label.
        label_noise: probability that the label is not that of the digit.
        part: which part of the images, from 0.
        parts: how many parts there are; 1: all images.
        seed: of the flips.
        download: whether to download missing files.

    Returns:
        image uint8 ``(3, 28, 28)``; tasks ``label``, ``colour``, ``digit`` and ``parity``, int64.

    Raises:
        UserError: for a part out of range; if files of MNIST are missing and can't be downloaded,
            or are damaged.
    """
    splits = load_mnist_part(root, download, part, parts)
    train, test = (_coloured(splits[s], e, label_noise, s, seed) for s in ("train", "test"))
    return Dataset(
        train=train,
        test=test,
        modalities={"image": ImageSpec(3, SIZE, SIZE, mean=(), std=())},
        classes={"label": LABELS, "colour": COLOURS, "digit": DIGITS, "parity": PARITIES},
    )


def _coloured(part: MnistPart, e: float, label_noise: float, split: str, seed: int) -> TensorRows:
    generator = torch.Generator().manual_seed(derive_seed(seed, "coloured_mnist", split))
    draws = torch.rand((2, part.total), generator=generator)[:, part.index]
    label = (part.digit < 5).long() ^ (draws[0] < label_noise).long()
    colour = label ^ (draws[1] < e).long()
    targets = {"label": label, "colour": colour, "digit": part.digit, "parity": part.digit % 2}
    return TensorRows({"image": _painted(part.images, colour)}, targets)


def _painted(images: Tensor, colour: Tensor) -> Tensor:
    """Return gray images ``(N, 1, H, W)`` in the colours ``(N,)``, as ``(N, 3, H, W)``."""
    channel = torch.arange(BLUE + 1).view(1, -1, 1, 1)
    return images * (channel == colour.view(-1, 1, 1, 1)).to(images.dtype)
