"""Write an export so that a reader never finds a part of it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import save

from jlrun.errors import UserError
from jlrun.files.atomic import replace, write_json, write_text
from jlrun.files.places import check_file, check_folder
from jlrun.runs.exporting.contents import Export
from jlrun.runs.exporting.model_card import CARD
from jlrun.runs.exporting.readme import readme

SUFFIX = ".safetensors"
PREPROCESSING = "preprocessing.json"
FILES = ("model.safetensors", "model.json", "README.md")
# Of all formats: what is written over if it is asked for.
_KNOWN = {*FILES, CARD, PREPROCESSING, "model.pt2", "model.onnx", "model.onnx.data"}
_OTHER_SUFFIXES = {".pt", ".pth", ".bin", ".onnx", ".ckpt", ".json"}


def check_output(output: Path, force: bool, folder: bool = False) -> None:
    """Check that an export can be written to ``output``.

    Args:
        output: the place.
        force: whether an export that is there may be replaced.
        folder: whether it must be a folder: formats with more than one file.

    Raises:
        UserError: if something stands there that is not to be overwritten.
    """
    if folder and output.suffix in {*_OTHER_SUFFIXES, SUFFIX}:
        message = f"'{output}': name a folder; the model, {PREPROCESSING} and {CARD} lie in it"
        raise UserError.of("--output", message)
    if output.suffix in _OTHER_SUFFIXES:
        raise UserError.of("--output", f"'{output}' is neither a folder nor a {SUFFIX} file")
    if output.suffix == SUFFIX:
        for file in (output, card_beside(output)):
            check_file(file, "--output")
            if file.is_dir():
                raise UserError.of("--output", f"'{file}' is a folder; name a file in it")
            if file.exists() and not force:
                raise UserError.of("--output", f"'{file}' exists; --force replaces it")
        return
    if output.exists() and not output.is_dir():
        raise UserError.of("--output", f"'{output}' is a file; choose a folder or a {SUFFIX} file")
    check_folder(output, "--output")
    _check_folder(output, force)


def card_beside(file: Path) -> Path:
    """Return where the model card of an export in one file lies."""
    return file.with_name(f"{file.stem}.{CARD}")


def write_export(export: Export, card: str, output: Path) -> None:
    """Write ``output``: one file with the description in its metadata, or a folder of `FILES`.

    The model card lies in the folder, or next to the file.
    """
    if output.suffix != SUFFIX:
        write_folder(output, lambda folder: _fill(export, card, folder))
        return
    output = output.resolve()
    output.parent.mkdir(parents=True, exist_ok=True)
    _write_weights(export, output)
    write_text(card_beside(output), card)


def write_folder(output: Path, fill: Callable[[Path], None]) -> None:
    """Write a folder, complete or not at all.

    What `check_output` allows to be there is replaced. A kill in the moment of replacing a folder
    leaves the earlier one next to it, as ``.<name>.old``.

    Args:
        output: the folder.
        fill: writes the files into an empty folder.
    """
    output = output.resolve()  # "." has no name
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.new")
    _remove(partial)
    try:
        partial.mkdir()
        fill(partial)
        for file in partial.iterdir():  # other libraries leave it to the system
            _sync(file)
        old = output.with_name(f".{output.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if output.exists():
            os.replace(output, old)
        os.replace(partial, output)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        _remove(partial)  # what a full disk left of it


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _fill(export: Export, card: str, folder: Path) -> None:
    weights, description, text = FILES
    _write_weights(export, folder / weights)
    write_json(folder / description, export.description)
    write_text(folder / text, readme(export))
    write_text(folder / CARD, card)
    if export.preprocessing:
        write_json(folder / PREPROCESSING, export.preprocessing)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _check_folder(folder: Path, force: bool) -> None:
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    foreign = sorted(found - _KNOWN)
    if foreign:
        raise UserError.of(
            "--output", f"'{folder}' holds other files ({foreign[0]}); choose a new folder"
        )
    if found and not force:
        raise UserError.of("--output", f"'{folder}' holds an export; --force replaces it")


def _write_weights(export: Export, file: Path) -> None:
    metadata = {"format": "pt", "jlrun": json.dumps(export.description, ensure_ascii=False)}
    replace(file, save(dict(export.tensors), metadata=metadata))
