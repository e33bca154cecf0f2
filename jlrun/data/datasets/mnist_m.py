"""MNIST-M, digits of MNIST blended with patches of colour pictures: made anew, or as published."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Generator, Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.datasets.digits import DIGITS, PARITIES
from jlrun.data.datasets.domain_folders import read_image_list
from jlrun.data.datasets.mnist_domains import SIZE, MnistPart, load_mnist_part
from jlrun.data.file_checks import read_each
from jlrun.data.reading.image_files import image_rows, read_image, square
from jlrun.data.reading.image_names import is_image_name
from jlrun.data.rows import FileRows, TensorRows
from jlrun.data.specs import ImageSpec
from jlrun.errors import UserError
from jlrun.ranges import NonNegativeInt, PositiveInt
from jlrun.seeding import derive_seed

NUM_TEXTURES = 100
TEXTURE_SIZE = 96
TEST_PICTURES = 5  # every fifth picture is for test rows only
_ROWS_AT_ONCE = 4096


PHOTO_SIZE = 321  # shorter side of the photos of BSDS500: they keep their scale
MOST_PHOTOS = 500
FEWEST_PHOTOS = 2
GRAY_SHARE = 0.75  # of the variation of a texture's colours that all channels have in common


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
    results on them are comparable with each other, but not with published ones. For the published
    images, see `jlrun.data.datasets.mnist_m`.

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
        UserError: for a part out of range; for too few photos; if files of MNIST are missing and
            can't be downloaded, or are damaged.
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
    # Drawn for all images of the split, so that those of a part are the same as without parts.
    draws = torch.rand((3, part.total), generator=generator)[:, part.index]
    chunks = zip(draws.split(_ROWS_AT_ONCE, dim=1), part.images.split(_ROWS_AT_ONCE), strict=True)
    images = [difference(cut_patches(pictures, SIZE, some), digits) for some, digits in chunks]
    return TensorRows({"image": torch.cat(images)}, {"digit": part.digit, "parity": part.digit % 2})


def _generator(seed: int, name: str) -> Generator:
    return torch.Generator().manual_seed(derive_seed(seed, "mnist_m", name))


def read_photos(folder: str) -> Tensor:
    """Return the central squares of photos by the order of their paths, uint8 ``(P, 3, 321, 321)``.

    Folders within the folder are read too; of more than 500 photos, as many at most, spread evenly.

    Raises:
        UserError: naming the folder if it is missing or has fewer than two, or a damaged file.
    """
    root = Path(folder).expanduser()
    paths = sorted(path for path in root.rglob("*") if is_image_name(path.name))
    if len(paths) < FEWEST_PHOTOS:
        found = f"{len(paths)} images" if root.is_dir() else "no such folder"
        raise UserError.of(
            f"photos={folder}",
            f"{found}; expected a folder with at least {FEWEST_PHOTOS} photos, such as those of "
            "BSDS500, or photos=null for textures",
        )
    step = -(-len(paths) // MOST_PHOTOS)
    return torch.stack(read_each(paths[::step], lambda path: read_image(path, PHOTO_SIZE, 3)))


def draw_textures(count: int, size: int, generator: Generator) -> Tensor:
    """Return random colour textures, uint8 ``(count, 3, size, size)``.

    Gaussian noise whose amplitudes fall with the frequency, as they do in photos (Field, "Relations
    between the statistics of natural images and the response properties of cortical cells", JOSA A
    1987), around a random mean colour. The channels of a texture are correlated.
    """
    common, own = (
        _clouds(torch.randn((count, channels, size, size), generator=generator))
        for channels in (1, 3)
    )
    variation = GRAY_SHARE**0.5 * common + (1 - GRAY_SHARE) ** 0.5 * own
    mean = 0.2 + 0.6 * torch.rand((count, 3, 1, 1), generator=generator)
    contrast = 0.1 + 0.15 * torch.rand((count, 1, 1, 1), generator=generator)
    return (255 * (mean + contrast * variation)).round().clamp(0, 255).to(torch.uint8)


def _clouds(noise: Tensor) -> Tensor:
    """Give white noise ``(N, C, S, S)`` amplitudes of 1 over the frequency, and variance 1."""
    size = noise.shape[-1]
    along_rows, along_columns = torch.fft.rfftfreq(size), torch.fft.fftfreq(size)
    frequency = (along_columns[:, None].square() + along_rows.square()).sqrt()
    amplitude = torch.where(frequency > 0, 1 / frequency.clamp(min=1 / size), 0.0)
    shaped = torch.fft.irfft2(torch.fft.rfft2(noise) * amplitude, s=(size, size))
    return shaped / shaped.std(dim=(2, 3), keepdim=True)


def cut_patches(pictures: Tensor, size: int, draws: Tensor) -> Tensor:
    """Return square patches, one for each column of ``draws``, ``(N, C, size, size)``.

    Args:
        pictures: ``(P, C, H, W)``, at least ``size`` high and wide.
        size: height and width of the patches.
        draws: numbers in [0, 1) that choose the picture, and the top and left, ``(3, N)``.
    """
    count, _, height, width = pictures.shape
    choices = torch.tensor([count, height - size + 1, width - size + 1])
    which, top, left = (draws * choices[:, None]).long()
    rows = top[:, None, None] + torch.arange(size)[:, None]
    columns = left[:, None, None] + torch.arange(size)
    return pictures[which[:, None, None], :, rows, columns].permute(0, 3, 1, 2).contiguous()


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
    return image_rows(paths, {"digit": digit, "parity": digit % 2}, square(size, 3))
