"""Colour pictures to cut patches from: photos of a folder, or textures that need no files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Generator, Tensor

from jlrun.data.file_checks import read_each
from jlrun.data.reading.image_files import is_image_name, read_image
from jlrun.errors import UserError

PHOTO_SIZE = 321  # the short side of the photos of BSDS500, which so keep their scale
MOST_PHOTOS = 500
FEWEST_PHOTOS = 2
GRAY_SHARE = 0.75  # of the variation of a texture's colours that all channels have in common


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
    1987), about a mean colour of its own. The channels of a texture resemble each other.
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
        draws: numbers in [0, 1) that say which picture, and where its top and left are, ``(3, N)``.
    """
    count, _, height, width = pictures.shape
    choices = torch.tensor([count, height - size + 1, width - size + 1])
    which, top, left = (draws * choices[:, None]).long()
    rows = top[:, None, None] + torch.arange(size)[:, None]
    columns = left[:, None, None] + torch.arange(size)
    return pictures[which[:, None, None], :, rows, columns].permute(0, 3, 1, 2).contiguous()
