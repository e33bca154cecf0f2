"""Tiny files in the form of the preprocessed NYUv2 and Cityscapes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def write_scenes(
    folder: Path,
    rows: Mapping[str, int],
    maps: tuple[str, ...],
    num_classes: int,
    size: tuple[int, int] = (32, 48),
) -> Path:
    """Write ``folder/{split}/{image,…}/{i}.npy`` of random scenes and return the folder."""
    rng = np.random.default_rng(0)
    for split, count in rows.items():
        for i in range(count):
            for kind in ("image", *maps):
                path = folder / split / kind / f"{i}.npy"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.save(path, _draw(rng, kind, num_classes, size))
    return folder


def _draw(
    rng: np.random.Generator, kind: str, num_classes: int, size: tuple[int, int]
) -> np.ndarray:
    if kind == "image":
        return rng.random((*size, 3)).astype(np.float32)
    if kind == "depth":
        known = rng.random((*size, 1)) > 0.2
        return (known * rng.uniform(0.5, 5, (*size, 1))).astype(np.float32)
    if kind == "normal":
        vectors = rng.normal(size=(*size, 3))
        vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
        vectors[:4] = 0
        return vectors.astype(np.float32)
    return rng.integers(-1, num_classes, size).astype(np.float32)
