"""Two digits on one canvas, each to be read.

MultiMNIST is made of MNIST; MultiDigits, small, of handwritten digits that need no download.
"""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Generator, Tensor
from torch.nn import functional as F

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.digits import DIGITS, digit_images
from jlrun.data.datasets.torchvision_sets import load_torchvision
from jlrun.data.rows import Rows, TensorRows
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


CANVAS = 36
SPAN = 34  # of both digits: the right one begins at pixel 6
SIZE = 28
MNIST_VAL_SHARE = 1 / 6  # 10,000 of MNIST's 60,000
_PAIRS_AT_ONCE = 4096


def load_multimnist(
    root: str,
    download: bool = True,
    num_train: PositiveInt | None = None,
    num_val: PositiveInt | None = None,
    num_test: PositiveInt | None = None,
    seed: int = 0,
) -> Dataset:
    """Return pairs of overlapping MNIST digits; the tasks are to read each of the two.

    The MultiMNIST of Sener & Koltun, "Multi-Task Learning as Multi-Objective Optimization",
    NeurIPS 2018, as their code makes it: on a canvas of 36 x 36, the left digit is at pixels 0 to
    27 of rows and columns, the right one at 6 to 33, and the brighter pixel wins; the canvas is
    stretched to the brightness 255 and brought to 28 x 28 by its nearest pixels. Each image is the
    left one of one pair; the right one is drawn from the same split, so that it may occur in
    several pairs or in none.

    Differs from it in: a sixth of the training images, stratified, makes the validation pairs, and
    no training pair (the original selects on the test split); so there are official splits, and no
    single image is in two of them. The pairs are drawn from a seed.

    Args:
        root: the folder that torchvision's MNIST takes: the files are in ``root/MNIST/raw``.
        download: whether to download what is missing.
        num_train: training pairs; None: one for each image. More use every image on the left
            several times, fewer take some of the images.
        num_val: validation pairs; likewise.
        num_test: test pairs; likewise.
        seed: of the division and the pairs.

    Returns:
        image uint8 ``(1, 28, 28)``; tasks ``left`` and ``right``, int64 digits.

    Raises:
        UserError: if files of MNIST are missing and can't be downloaded, or are damaged.
    """
    mnist = load_torchvision("MNIST", root, download)
    assert mnist.test is not None
    images, digit = _all(mnist.train)
    val_count = max(1, round(MNIST_VAL_SHARE * len(digit)))
    val = draw_share(digit, val_count, _mnist_generator(seed, "val singles"))
    rest = torch.ones(len(digit), dtype=torch.bool)
    rest[val] = False
    return Dataset(
        train=_mnist_pairs(images[rest], digit[rest], num_train, _mnist_generator(seed, "train")),
        val=_mnist_pairs(images[val], digit[val], num_val, _mnist_generator(seed, "val")),
        test=_mnist_pairs(*_all(mnist.test), num_test, _mnist_generator(seed, "test")),
        modalities={"image": ImageSpec(1, SIZE, SIZE, mean=(), std=())},
        classes={"left": DIGITS, "right": DIGITS},
    )


def on_one_canvas(left: Tensor, right: Tensor) -> Tensor:
    """Return the pairs of digits, uint8 ``(N, 1, 28, 28)``, of ``left`` and ``right``, each of it.

    What SciPy's ``imresize(canvas, (28, 28), interp="nearest")`` made of the canvas: Pillow's
    nearest pixels of the values stretched so that the brightest is 255, rounded half up. (The
    darkest is 0 already: two rows of the canvas are empty.)
    """
    canvas = F.pad(overlap(left, right, SPAN), (0, CANVAS - SPAN, 0, CANVAS - SPAN))
    scale = 255 / canvas.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1).double()
    nearest = ((torch.arange(SIZE) + 0.5) * CANVAS / SIZE).long()
    return (canvas[:, :, nearest][:, :, :, nearest] * scale + 0.5).to(torch.uint8)


def _mnist_pairs(
    images: Tensor, digit: Tensor, count: int | None, generator: Generator
) -> TensorRows:
    singles = len(images)
    count = singles if count is None else count
    order = torch.randperm(singles, generator=generator)
    left = order.repeat(count // singles + 1)[:count]
    right = torch.randint(singles, (count,), generator=generator)
    chunks = zip(left.split(_PAIRS_AT_ONCE), right.split(_PAIRS_AT_ONCE), strict=True)
    pairs = torch.cat([on_one_canvas(images[some], images[others]) for some, others in chunks])
    return TensorRows({"image": pairs}, {"left": digit[left], "right": digit[right]})


def _all(rows: Rows) -> tuple[Tensor, Tensor]:
    batch = rows.fetch(torch.arange(len(rows)))
    return batch.inputs["image"], batch.targets["digit"]


def _mnist_generator(seed: int, name: str) -> Generator:
    return torch.Generator().manual_seed(derive_seed(seed, "multimnist", name))
