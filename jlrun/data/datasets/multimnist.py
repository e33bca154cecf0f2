"""MultiMNIST: two digits of MNIST on one canvas, each to be read."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.digits import DIGITS
from jlrun.data.datasets.multidigits import overlap
from jlrun.data.datasets.torchvision_sets import load_torchvision
from jlrun.data.rows import Rows, TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.data.strata import draw_share
from jlrun.ranges import PositiveInt
from jlrun.seeding import derive_seed

CANVAS = 36
SPAN = 34  # of both digits: the right one begins at pixel 6
SIZE = 28
VAL_SHARE = 1 / 6  # 10,000 of MNIST's 60,000
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
    val_count = max(1, round(VAL_SHARE * len(digit)))
    val = draw_share(digit, val_count, _generator(seed, "val singles"))
    rest = torch.ones(len(digit), dtype=torch.bool)
    rest[val] = False
    return Dataset(
        train=_pairs(images[rest], digit[rest], num_train, _generator(seed, "train")),
        val=_pairs(images[val], digit[val], num_val, _generator(seed, "val")),
        test=_pairs(*_all(mnist.test), num_test, _generator(seed, "test")),
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


def _pairs(images: Tensor, digit: Tensor, count: int | None, generator: Generator) -> TensorRows:
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


def _generator(seed: int, name: str) -> Generator:
    return torch.Generator().manual_seed(derive_seed(seed, "multimnist", name))
