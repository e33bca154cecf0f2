"""Data sets, splits, streams and augmentation.

What a data set or a part of a model names is here. It is imported when it is asked for: reading
tables, which this package also holds, needs no PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jlrun.data.batch import Batch
    from jlrun.data.dataset import Dataset
    from jlrun.data.rows import FileRows, Rows, TensorRows
    from jlrun.data.specs import AudioSpec, ImageSpec, SeriesSpec, Spec, TabularSpec, TextSpec
    from jlrun.data.streams import Stream

__all__ = [
    "AudioSpec",
    "Batch",
    "Dataset",
    "FileRows",
    "ImageSpec",
    "Rows",
    "SeriesSpec",
    "Spec",
    "Stream",
    "TabularSpec",
    "TensorRows",
    "TextSpec",
]

_HOMES = {"Batch": "batch", "Dataset": "dataset", "Stream": "streams"} | dict.fromkeys(
    ("FileRows", "Rows", "TensorRows"), "rows"
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f"jlrun.data.{_HOMES.get(name, 'specs')}"), name)
    raise AttributeError(f"module 'jlrun.data' has no attribute '{name}'")
