"""Photographs as files, of those that come with scikit-learn and scikit-image.

    python -m benchmarks.photos FOLDER

writes the seven of `dataset=mnist_m` in the tables: `FOLDER` is `photos` in their folder of data.
It needs `pip install scikit-image`.
"""

from __future__ import annotations

import argparse
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

SHIPPED = {
    "sklearn.datasets.images": ("china.jpg", "flower.jpg"),
    "skimage.data": (
        "astronaut.png",
        "chelsea.png",
        "coffee.png",
        "motorcycle_left.png",
        "rocket.jpg",
    ),
}
SPLITS = {"train": 0.8, "val": 0.1, "test": 0.1}
QUALITY = 90  # of JPEG


def write_photos(folder: Path, count: int, side: int) -> None:
    """Write ``count`` JPEG files of ``side`` x ``side`` pixels, for `dataset=imagefolder`.

    Each is a window anywhere in one of two photographs, which are the two classes.
    """
    photos = load_sample_images()
    draw = np.random.default_rng(0)
    names = [Path(name).stem for name in photos.filenames]
    for split, share in SPLITS.items():
        for number in range(round(share * count)):
            pixels = photos.images[number % 2]
            top, left = (draw.integers(0, length - side + 1) for length in pixels.shape[:2])
            path = folder / split / names[number % 2] / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            window = np.ascontiguousarray(pixels[top : top + side, left : left + side])
            Image.fromarray(window).save(path, quality=QUALITY)


def copy_photos(folder: Path) -> None:
    """Copy the photographs that libraries ship to ``folder``.

    Raises:
        ModuleNotFoundError: without scikit-image; then nothing is written.
    """
    files = [
        Path(shipped) / name
        for package, names in SHIPPED.items()
        for shipped in import_module(package).__path__
        for name in names
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    try:
        copy_photos(parser.parse_args().folder)
    except ModuleNotFoundError as error:
        parser.error(f"{error}: pip install scikit-image")
