"""Content of requests as files that ``jlrun predict`` reads, so that its checks are the same."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from jlrun.data.specs import AudioSpec, ImageSpec, SeriesSpec, Spec, TextSpec
from jlrun.errors import UserError, did_you_mean
from jlrun.files.bounded_text import parse_json

IMAGES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "image/bmp": ".bmp"}
ROWS, INPUTS = "rows", "inputs"  # keys of a body
_MEDIA = (ImageSpec, AudioSpec, SeriesSpec)  # whose cells in a table name files


@contextmanager
def as_file(body: bytes, kind: str, specs: Mapping[str, Spec], takes_table: bool) -> Iterator[Path]:
    """Write the content of a request to a file for as long as the context lasts.

    Args:
        body: the content.
        kind: its media type: JSON, or one of `IMAGES`.
        specs: modality -> what the model takes.
        takes_table: whether the run learned from a table.

    Raises:
        UserError: if it is not what the model takes.
    """
    with TemporaryDirectory() as folder:
        if kind in IMAGES:
            if list(specs) != ["image"]:
                message = f"the model takes {', '.join(specs)}: send them as application/json"
                raise UserError.of("body", message)
            path = Path(folder) / f"image{IMAGES[kind]}"
            path.write_bytes(body)
        elif takes_table:
            path = Path(folder) / "rows.jsonl"
            path.write_text("\n".join(map(json.dumps, _rows(body, specs))), encoding="utf-8")
        else:
            path = Path(folder) / "inputs.npz"
            arrays: dict[str, Any] = _arrays(body, specs)
            np.savez(path, **arrays)
        yield path


def _rows(body: bytes, specs: Mapping[str, Spec]) -> Sequence[Mapping[str, Any]]:
    """Return the rows of a table, one object each."""
    media = [name for name, spec in specs.items() if isinstance(spec, _MEDIA)]
    if media:
        message = f"rows would name files ({', '.join(media)}), which are not read for others"
        raise UserError.of(ROWS, message)
    rows = _content(body, ROWS)
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise UserError.of(ROWS, "expected a list of at least one object, column -> cell")
    names = dict.fromkeys(name for row in rows for name in row)
    # The first row names the columns of a table.
    return [{name: row.get(name) for name in names} for row in rows]


def _arrays(body: bytes, specs: Mapping[str, Spec]) -> dict[str, np.ndarray]:
    """Return modality -> array with a row for each sample."""
    inputs = _content(body, INPUTS)
    if not isinstance(inputs, dict) or not inputs:
        raise UserError.of(INPUTS, "expected an object, modality -> a list with an entry a row")
    unknown = [name for name in inputs if name not in specs]
    if unknown:
        hint = did_you_mean(unknown[0], specs)
        raise UserError.of(INPUTS, f"the model takes no '{unknown[0]}'.{hint}")
    return {name: _array(name, values, specs[name]) for name, values in inputs.items()}


def _array(name: str, values: Any, spec: Spec) -> np.ndarray:
    where = f"{INPUTS}.{name}"
    try:
        found = np.array(values)
    except ValueError as error:
        raise UserError.of(where, "rows have different shapes") from error
    if isinstance(spec, TextSpec):
        if found.ndim != 1 or found.dtype.kind != "U":
            raise UserError.of(where, "expected a list of texts")
        return found
    if found.dtype.kind not in "iuf" and values != [] and None in _flat(values):
        found = _with_gaps(where, values)
    if found.dtype.kind not in "iuf":
        raise UserError.of(where, "expected numbers")
    if not isinstance(spec, ImageSpec):
        return found.astype(np.float64)
    if found.dtype.kind == "f" or found.min(initial=0) < 0 or found.max(initial=0) > 255:
        raise UserError.of(where, "expected whole numbers from 0 to 255")
    return found.astype(np.uint8)


def _with_gaps(where: str, values: Any) -> np.ndarray:
    """Return numbers with NaN where one is ``null``."""
    try:
        return np.array(values, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise UserError.of(where, "expected numbers, or null where one is missing") from error


def _flat(values: Any) -> Iterator[Any]:
    for value in values if isinstance(values, list) else [values]:
        yield from _flat(value) if isinstance(value, list) else (value,)


def _content(body: bytes, key: str) -> Any:
    try:
        content = parse_json(body.decode("utf-8"))
    except ValueError as error:
        raise UserError.of("body", f"is not JSON ({error})") from error
    if not isinstance(content, dict) or list(content) != [key]:
        raise UserError.of("body", f'expected one key: {{"{key}": …}}')
    return content[key]
