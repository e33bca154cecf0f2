"""Small good files, from which malformed ones are made."""

from __future__ import annotations

import csv
import io
import json
import shutil
import wave
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet

from tests.data.idx_files import write_mnist
from tests.data.tables.files.made import rows_of, with_files, write_csv

NUM_ROWS = 30


def write_table_with_files(folder: Path) -> None:
    """Write ``t.csv`` of texts, numbers, images, sounds and series, and ``photos/<class>``."""
    rows = with_files(folder, rows_of(NUM_ROWS))
    write_csv(folder / "t.csv", rows)
    _sort_photos(folder)


def _sort_photos(folder: Path) -> None:
    for i in range(0, NUM_ROWS, 2):
        for which, file in (("a", i), ("b", i + 1)):
            (folder / "photos" / which).mkdir(exist_ok=True)
            shutil.copy(folder / f"photos/{file}.png", folder / f"photos/{which}/{i}.png")
    for file in (folder / "photos").glob("*.png"):
        (folder / "flat").mkdir(exist_ok=True)
        file.rename(folder / "flat" / file.name)
    text = (folder / "t.csv").read_text(encoding="utf-8")
    (folder / "t.csv").write_text(text.replace("photos/", "flat/"), encoding="utf-8")


def plain_rows() -> list[dict[str, str]]:
    """Return rows of texts, numbers and categories."""
    return rows_of(NUM_ROWS)


def csv_bytes() -> bytes:
    """Return a table as CSV."""
    text = io.StringIO()
    rows = plain_rows()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def json_lines_bytes() -> bytes:
    """Return the same table as JSON Lines."""
    rows = [{**row, "age": int(row["age"])} for row in plain_rows()]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def parquet_bytes() -> bytes:
    """Return the same table as Parquet."""
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(plain_rows()), sink)
    return sink.getvalue()


def image_bytes(form: str) -> bytes:
    """Return a small picture as PNG, JPEG, GIF, BMP, TIFF or WebP."""
    sink, pixels = io.BytesIO(), np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    Image.fromarray(pixels).save(sink, format=form)
    return sink.getvalue()


def wav_bytes() -> bytes:
    """Return a short tone as WAV."""
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((9000 * np.sin(np.arange(1000))).astype("<i2").tobytes())
    return sink.getvalue()


def array_bytes(array: np.ndarray) -> bytes:
    """Return an array as ``.npy``."""
    sink = io.BytesIO()
    np.save(sink, array)
    return sink.getvalue()


def archive_bytes(**arrays: np.ndarray) -> bytes:
    """Return arrays as ``.npz``."""
    sink = io.BytesIO()
    np.savez(sink, **arrays)  # pyright: ignore[reportArgumentType] - its stub wants a bool
    return sink.getvalue()


def write_idx(folder: Path) -> None:
    """Write forty images in MNIST's format below ``data``."""
    images = np.arange(40 * 28 * 28, dtype=np.int64).reshape(40, 28, 28) % 251
    write_mnist(folder / "data", images.astype(np.uint8), images.astype(np.uint8))


EXPERIMENT = """\
# @package _global_
# an experiment of one's own
defaults:
  - override /mode: multitask
  - override /dataset: digits
  - override /weighting: famo
  - _self_

epochs: 1
batch_size: 8
optimizer:
  lr: 0.01
dataset:
  limit: 40
  tasks:
    digit: {label_smoothing: 0.1}
"""

CLASS_VECTORS = "".join(f"'{i}': [{i}, {i % 3}, {i % 2}.5]\n" for i in range(10))
