"""Part of MNIST: the digits, or a share of them, from which other domains are made."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from jlrun.data.datasets.torchvision_sets import load_torchvision
from jlrun.data.rows import Rows
from jlrun.errors import UserError

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
