"""MNIST-M, made anew: digits of MNIST blended with patches of colour pictures."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.backgrounds import cut_patches, draw_textures, read_photos
from jlrun.data.datasets.digits import DIGITS, PARITIES
from jlrun.data.datasets.mnist_part import SIZE, MnistPart, load_mnist_part
from jlrun.data.rows import TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.ranges import NonNegativeInt, PositiveInt
from jlrun.seeding import derive_seed

NUM_TEXTURES = 100
TEXTURE_SIZE = 96
TEST_PICTURES = 5  # every fifth picture is for test rows only
_ROWS_AT_ONCE = 4096


def load_mnist_m(
    root: str,
    photos: str | None = None,
    part: NonNegativeInt = 0,
    parts: PositiveInt = 1,
    seed: int = 0,
    download: bool = True,
) -> Dataset:
    """Return MNIST's digits over colour backgrounds: the recipe of MNIST-M, not the published set.

    Ganin & Lempitsky, "Unsupervised Domain Adaptation by Backpropagation", ICML 2015: each channel
    of a pixel is ``|patch - digit|``, of a patch at a random place of a random photo (theirs are
    those of BSDS500). Without ``photos`` the patches are of seeded textures, made without any file:
    results on them compare with each other, but with no published ones. For the published images,
    see `jlrun.data.datasets.mnist_m_published`.

    Differs from it in: 28 x 28 pixels, not 32 x 32; test rows have other pictures than training
    rows.

    Args:
        root: the folder that torchvision's MNIST takes: the files are in ``root/MNIST/raw``.
        photos: folder of photos; None: textures.
        part: which part of the images, from 0.
        parts: how many parts there are; 1: all images.
        seed: of the patches and textures.
        download: whether to download what is missing of MNIST.

    Returns:
        image uint8 ``(3, 28, 28)``; tasks ``digit`` and ``parity``, int64.

    Raises:
        UserError: for a part that there is not; for too few photos; if files of MNIST are missing
            and can't be downloaded, or are damaged.
    """
    splits = load_mnist_part(root, download, part, parts)
    if photos is None:
        pictures = draw_textures(NUM_TEXTURES, TEXTURE_SIZE, _generator(seed, "textures"))
    else:
        pictures = read_photos(photos)
    for_test = torch.arange(len(pictures)) % TEST_PICTURES == 0
    return Dataset(
        train=_blended(splits["train"], pictures[~for_test], _generator(seed, "train")),
        test=_blended(splits["test"], pictures[for_test], _generator(seed, "test")),
        modalities={"image": ImageSpec(3, SIZE, SIZE, mean=(), std=())},
        classes={"digit": DIGITS, "parity": PARITIES},
    )


def difference(patches: Tensor, digits: Tensor) -> Tensor:
    """Return ``|patches - digits|``, uint8, of uint8 ``(N, 3, H, W)`` and ``(N, 1, H, W)``."""
    return (patches.short() - digits.short()).abs().to(torch.uint8)


def _blended(part: MnistPart, pictures: Tensor, generator: Generator) -> TensorRows:
    # Drawn for all images of the split: those of a part are as they are without parts.
    draws = torch.rand((3, part.total), generator=generator)[:, part.index]
    chunks = zip(draws.split(_ROWS_AT_ONCE, dim=1), part.images.split(_ROWS_AT_ONCE), strict=True)
    images = [difference(cut_patches(pictures, SIZE, some), digits) for some, digits in chunks]
    return TensorRows({"image": torch.cat(images)}, {"digit": part.digit, "parity": part.digit % 2})


def _generator(seed: int, name: str) -> Generator:
    return torch.Generator().manual_seed(derive_seed(seed, "mnist_m", name))
