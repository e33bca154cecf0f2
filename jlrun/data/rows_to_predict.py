"""Rows to predict, read from images, arrays, or a table of files and texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from jlrun.data.file_checks import read_each, read_good
from jlrun.data.reading.arrays import ArrayFileError, load_array, load_arrays
from jlrun.data.reading.audio import read_audio
from jlrun.data.reading.image_files import read_picture
from jlrun.data.reading.image_names import is_image_name
from jlrun.data.reading.texts import tokenize
from jlrun.data.rows import NamedRows, TensorRows
from jlrun.data.specs import AudioSpec, ImageSpec, SeriesSpec, Spec, TabularSpec, TextSpec
from jlrun.data.tables.files.bad_rows import BadRows
from jlrun.data.tables.files.delimited import read_delimited
from jlrun.data.tables.files.layout import Reading
from jlrun.data.transforms import fit_length, resize, to_channels
from jlrun.errors import Problem, UserError, did_you_mean
from jlrun.files.regular import check_regular

TABLE_READING = Reading(delimiter=",", missing=("",))
_ENCODING = re.compile(r"(see|set) (input\.)?reading\.encoding(=[-\w]+|, such as latin-1)?")
FORMATS = (
    "an image, a folder of images, .npy (one modality), .npz (an array per modality), or .csv (a "
    "column per modality: paths of images and sounds relative to the table, or text)"
)


def read_inputs(path: Path, specs: Mapping[str, Spec], skip: bool = False) -> NamedRows:
    """Read rows for a model of the given modalities.

    Args:
        path: see `FORMATS`.
        specs: modality -> what the model takes.
        skip: leave out images of a folder and rows of a table that can't be read.

    Raises:
        UserError: naming the unusable file, row or column; if all are unusable.
    """
    if not path.exists():
        raise UserError.of("--input", f"there is no '{path}'; expected {FORMATS}")
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if is_image_name(file.name))
        if not files:
            raise UserError.of("--input", f"the folder '{path}' holds no images")
        return _images(files, specs, [str(file.relative_to(path)) for file in files], skip)
    check_regular(path, "--input")
    if is_image_name(path.name):
        return _images([path], specs, [path.name])
    match path.suffix.lower():
        case ".npy" | ".npz":
            return _arrays(path, specs)
        case ".csv":
            return _table(path, specs, skip)
    raise UserError.of("--input", f"'{path}' is not {FORMATS}")


def _images(
    files: Sequence[Path], specs: Mapping[str, Spec], names: Sequence[str], skip: bool = False
) -> NamedRows:
    if list(specs) != ["image"]:
        raise UserError.of(
            "--input", f"the model takes {', '.join(specs)}: give a .npz or .csv with all of them"
        )
    spec = specs["image"]
    assert isinstance(spec, ImageSpec)

    def read(file: Path) -> Tensor:
        return read_picture(file, spec)

    if not skip:
        images, bad = read_each(files, read), {}
    else:
        images, bad = read_good(files, read)
        check_some_left(len(images), list(bad.values()))
    good = tuple(name for i, name in enumerate(names) if i not in bad)
    rows = TensorRows({"image": torch.stack(images)}, {})
    return NamedRows(good, rows, tuple(map(str, bad.values())))


def check_some_left(count: int, problems: Sequence[Problem]) -> None:
    """Check that rows are left where others are skipped.

    Raises:
        UserError: with the problem of each row, if there are none.
    """
    if not count:
        raise UserError([*problems, Problem("--input", "no row is left to predict")])


def _arrays(path: Path, specs: Mapping[str, Spec]) -> NamedRows:
    try:
        if path.suffix.lower() == ".npz":
            arrays = load_arrays(path)
        else:
            arrays = {next(iter(specs)): load_array(path)}
    except ArrayFileError as error:
        raise UserError.of(str(path), f"not a readable array file ({error})") from error
    for name in arrays:
        if name not in specs:
            hint = did_you_mean(name, specs)
            raise UserError.of(str(path), f"'{name}' is not a modality of the model.{hint}")
    for name, array in arrays.items():
        if array.ndim == 0:
            raise UserError.of(f"{path}: {name}", "is a single number; expected a row per sample")
    if not arrays or len({len(array) for array in arrays.values()}) > 1:
        lengths = {name: len(array) for name, array in arrays.items()}
        raise UserError.of(str(path), f"arrays must have the same number of rows, found {lengths}")
    inputs, present, count = {}, {}, len(next(iter(arrays.values())))
    for name, spec in specs.items():
        if name in arrays:
            inputs[name] = _from_array(f"{path}: {name}", arrays[name], spec)
        else:
            inputs[name], present[name] = _absent(spec, count), torch.zeros(count).bool()
    names = tuple(str(i) for i in range(count))
    return NamedRows(names, TensorRows(inputs, {}, present))


def _from_array(where: str, array: np.ndarray, spec: Spec) -> Tensor:
    match spec:
        case ImageSpec():
            return _image_array(where, array, spec)
        case AudioSpec():
            if array.ndim != 2 or array.dtype.kind != "f":
                found = f"{array.dtype} {array.shape}"
                raise UserError.of(where, f"expected floats (rows, samples), found {found}")
            return fit_length(torch.from_numpy(array).float(), spec.num_samples)
        case TextSpec():
            return tokenize([str(text) for text in array], spec)
        case TabularSpec() | SeriesSpec():
            return _number_array(where, array, _row_shape(spec))


def _row_shape(spec: TabularSpec | SeriesSpec) -> tuple[int, ...]:
    return (spec.width,) if isinstance(spec, TabularSpec) else (spec.length, spec.channels)


def _number_array(where: str, array: np.ndarray, shape: tuple[int, ...]) -> Tensor:
    if array.shape[1:] != shape or array.dtype.kind not in "fiu":
        found = f"{array.dtype} {array.shape}"
        raise UserError.of(where, f"expected numbers of shape (rows, {shape}), found {found}")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))


def _image_array(where: str, array: np.ndarray, spec: ImageSpec) -> Tensor:
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[1] not in (1, 3) and array.shape[3] in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[1] not in (1, 3):
        raise UserError.of(
            where,
            f"expected uint8 images (rows, height, width) or with 1 or 3 channels, found "
            f"{array.dtype} {array.shape}",
        )
    images = torch.from_numpy(np.ascontiguousarray(array))
    if images.shape[1:] == (spec.channels, spec.height, spec.width):
        return images
    fitted = resize(to_channels(images.float(), spec.channels), spec.height, spec.width)
    return fitted.round().clamp(0, 255).to(torch.uint8)


def _table(path: Path, specs: Mapping[str, Spec], skip: bool) -> NamedRows:
    columns, places = _columns(path)
    if not any(name in columns for name in specs):
        found = ", ".join(columns)
        raise UserError.of(
            str(path), f"needs a column for at least one of: {', '.join(specs)}; found {found}"
        )
    readers = {name: _cell_reader(path.parent, spec) for name, spec in specs.items()}
    fillers = {name: _absent(spec, 1)[0] for name, spec in specs.items()}
    rows, bad = dict[int, dict[str, Tensor]](), list[Problem]()
    for i, place in enumerate(places):
        cells = {name: columns[name][i] for name in specs if name in columns and columns[name][i]}
        try:
            if not cells:
                raise UserError.of(f"{path}: line {place}", "has none of the model's modalities")
            rows[i] = {name: readers[name](cell) for name, cell in cells.items()}
        except UserError as error:
            if not skip:
                raise
            bad.append(_of_line(path, place, error.problems[0]))
    check_some_left(len(rows), bad)
    inputs = {n: torch.stack([row.get(n, fillers[n]) for row in rows.values()]) for n in specs}
    present = {n: torch.tensor([n in row for row in rows.values()]) for n in specs}
    present = {n: mask for n, mask in present.items() if not bool(mask.all())}
    names = tuple(str(i) for i in rows)
    return NamedRows(names, TensorRows(inputs, {}, present), tuple(map(str, bad)))


def _of_line(path: Path, place: int, problem: Problem) -> Problem:
    """Return a problem of a line, with its place if it names only a file."""
    where = f"{path}: line {place}"
    return problem if problem.where == where else Problem(where, str(problem))


def _columns(path: Path) -> tuple[dict[str, list[str]], list[int]]:
    """Return the cells of each column of a CSV file, and the line of each row."""
    bad, columns, places = BadRows(path), dict[str, list[str]](), list[int]()
    try:
        for chunk in read_delimited(path, TABLE_READING, bad, "input"):
            places += chunk.places
            for name, cells in chunk.cells.items():
                columns.setdefault(name, []).extend(cells)
    except UserError as error:
        raise UserError([_without_options(problem) for problem in error.problems]) from error
    if bad.num_rows:
        raise UserError([_without_options(problem) for problem in bad.problems()])
    return columns, places


def _without_options(problem: Problem) -> Problem:
    """Return a problem of a table without the options of a data set that could solve it."""
    message = _ENCODING.sub("save it as UTF-8", problem.message)
    return Problem("--input" if problem.where == "input.path" else problem.where, message)


def _cell_reader(folder: Path, spec: Spec) -> Callable[[str], Tensor]:
    match spec:
        case ImageSpec():
            return lambda cell: read_picture(folder / cell, spec)
        case AudioSpec():
            return lambda cell: read_audio(folder / cell, spec)
        case TextSpec():
            return lambda cell: tokens(cell, spec)
        case TabularSpec() | SeriesSpec():
            raise UserError.of(str(folder), "numbers of the model do not fit in one cell: use .npz")


def tokens(text: str, spec: TextSpec) -> Tensor:
    """Return the ids ``(length,)`` of one text; `jlrun.data.reading.texts.tokenize` takes many."""
    return tokenize([text], spec)[0]


def _absent(spec: Spec, count: int) -> Tensor:
    match spec:
        case ImageSpec(channels=c, height=h, width=w):
            return torch.zeros(count, c, h, w, dtype=torch.uint8)
        case AudioSpec(num_samples=length):
            return torch.zeros(count, length)
        case TextSpec(length=length):
            return torch.zeros(count, length, dtype=torch.long)
        case TabularSpec(numbers=numbers):
            absent = torch.zeros(count, spec.width)
            absent[:, : len(numbers)] = torch.nan
            return absent
        case SeriesSpec(length=length, channels=channels):
            return torch.full((count, length, channels), torch.nan)
