"""MultiDigits: two handwritten digits on one canvas, a small MultiMNIST without a download."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Generator, Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.digits import DIGITS, digit_images
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.data.strata import draw_share
from jlrun.ranges import PositiveInt
from jlrun.seeding import derive_seed

VAL_SHARE = 0.2
TEST_SHARE = 0.2


def load_multidigits(
    num_train: PositiveInt = 6_000,
    num_val: PositiveInt = 1_200,
    num_test: PositiveInt = 1_500,
    canvas: Annotated[int, Ge(8), Le(16)] = 10,
    seed: int = 0,
) -> Dataset:
    """Return pairs of `jlrun.data.datasets.digits` that overlap; the tasks are to read each of the
    two.

    Built like the MultiMNIST of Sener & Koltun, "Multi-Task Learning as Multi-Objective
    Optimization", NeurIPS 2018: one digit at the top left, one at the bottom right, the brighter
    pixel wins. Differs from it in: digits of 8 x 8 pixels, and no scaling down of the canvas.

    The single digits are divided first, stratified: 60 % occur in training pairs only, 20 % in
    validation pairs only, 20 % in test pairs only. So there are official splits.

    Args:
        num_train: training pairs.
        num_val: validation pairs.
        num_test: test pairs.
        canvas: height and width in pixels; from 8, where both digits lie upon each other, to 16,
            where they touch at a corner.
        seed: of the division and the pairs.

    Returns:
        image uint8 ``(1, canvas, canvas)``; tasks ``left`` and ``right``, int64 digits.
    """
    images, digit = digit_images()
    parts = divide_singles(digit, seed)
    train, val, test = (
        _pairs(images[part], digit[part], count, canvas, _generator(seed, name))
        for (name, part), count in zip(parts.items(), (num_train, num_val, num_test), strict=True)
    )
    return Dataset(
        train=train,
        val=val,
        test=test,
        modalities={"image": ImageSpec(1, canvas, canvas, mean=(), std=())},
        classes={"left": DIGITS, "right": DIGITS},
    )


def divide_singles(digit: Tensor, seed: int) -> dict[str, Tensor]:
    """Return the single digits that make up the pairs of ``train``, ``val`` and ``test``.

    Disjoint index tensors into ``digit``, an int64 ``(N,)``, each with every class in proportion.
    With equal seeds, those of ``test`` are the default test split of `jlrun.data.datasets.digits`,
    so that neither data set, as the source, holds test rows of the other as the target.
    """
    test_generator = torch.Generator().manual_seed(derive_seed(seed, "test split"))
    test = draw_share(digit, round(TEST_SHARE * len(digit)), test_generator)
    rest = _without(torch.arange(len(digit)), test)
    val_count = round(VAL_SHARE * len(digit))
    val = rest[draw_share(digit[rest], val_count, _generator(seed, "val singles"))]
    return {"train": _without(rest, val), "val": val, "test": test}


def _without(rows: Tensor, others: Tensor) -> Tensor:
    return rows[~torch.isin(rows, others)]


def _pairs(
    images: Tensor, digit: Tensor, count: int, canvas: int, generator: Generator
) -> TensorRows:
    left, right = torch.randint(len(images), (2, count), generator=generator)
    return TensorRows(
        {"image": overlap(images[left], images[right], canvas)},
        {"left": digit[left], "right": digit[right]},
    )


def overlap(left: Tensor, right: Tensor, canvas: int) -> Tensor:
    """Put images ``(N, C, H, W)`` in opposite corners of a canvas; the brighter pixel wins.

    Returns:
        ``(N, C, canvas, canvas)``, ``left`` at the top left and ``right`` at the bottom right.
    """
    count, channels, height, width = left.shape
    both = torch.zeros((2, count, channels, canvas, canvas), dtype=left.dtype)
    both[0, :, :, :height, :width] = left
    both[1, :, :, canvas - height :, canvas - width :] = right
    return both.amax(dim=0)


def _generator(seed: int, name: str) -> Generator:
    return torch.Generator().manual_seed(derive_seed(seed, "multidigits", name))
