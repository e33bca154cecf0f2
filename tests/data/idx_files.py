"""Small sets in MNIST's file format."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np


def write_mnist(root: Path, train: np.ndarray, test: np.ndarray) -> Path:
    """Write uint8 images ``(N, 28, 28)`` whose digits are 0 to 9 in turn; return ``root``."""
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, images in (("train", train), ("t10k", test)):
        digits = (np.arange(len(images)) % 10).astype(np.uint8)
        (folder / f"{name}-images-idx3-ubyte").write_bytes(_idx(images))
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(_idx(digits))
    return root


def _idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()
