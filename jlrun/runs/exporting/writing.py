"""Write an export so that a reader never finds a part of it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from safetensors.torch import save

from jlrun.errors import UserError
from jlrun.files.atomic import replace, write_json, write_text
from jlrun.files.places import check_file, check_folder
from jlrun.runs.exporting.contents import Export
from jlrun.runs.exporting.readme import readme

SUFFIX = ".safetensors"
FILES = ("model.safetensors", "model.json", "README.md")
_OTHER_SUFFIXES = {".pt", ".pth", ".bin", ".onnx", ".ckpt", ".json"}


def check_output(output: Path, force: bool) -> None:
    """Check that an export can be written to ``output``.

    Raises:
        UserError: if something stands there that is not to be overwritten.
    """
    if output.suffix in _OTHER_SUFFIXES:
        raise UserError.of("--output", f"'{output}' is neither a folder nor a {SUFFIX} file")
    if output.suffix == SUFFIX:
        check_file(output, "--output")
        if output.is_dir():
            raise UserError.of("--output", f"'{output}' is a folder; name a file in it")
        if output.exists() and not force:
            raise UserError.of("--output", f"'{output}' exists; --force replaces it")
        return
    if output.exists() and not output.is_dir():
        raise UserError.of("--output", f"'{output}' is a file; choose a folder or a {SUFFIX} file")
    check_folder(output, "--output")
    _check_folder(output, force)


def write_export(export: Export, output: Path) -> None:
    """Write ``output``: one file with the description in its metadata, or a folder of `FILES`.

    What `check_output` allows to be there is replaced. A kill in the moment of replacing a folder
    leaves the earlier one next to it, as ``.<name>.old``.
    """
    output = output.resolve()  # "." has no name
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.new")
    _remove(partial)
    try:
        if output.suffix == SUFFIX:
            _write_weights(export, partial)
            os.replace(partial, output)
        else:
            _write_folder(export, partial, output)
    finally:
        _remove(partial)  # what a full disk left of it


def _write_folder(export: Export, partial: Path, output: Path) -> None:
    partial.mkdir()
    _write_weights(export, partial / FILES[0])
    write_json(partial / FILES[1], export.description)
    write_text(partial / FILES[2], readme(export))
    old = output.with_name(f".{output.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if output.exists():
        os.replace(output, old)
    os.replace(partial, output)
    shutil.rmtree(old, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _check_folder(folder: Path, force: bool) -> None:
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    foreign = sorted(found - set(FILES))
    if foreign:
        raise UserError.of(
            "--output", f"'{folder}' holds other files ({foreign[0]}); choose a new folder"
        )
    if found and not force:
        raise UserError.of("--output", f"'{folder}' holds an export; --force replaces it")


def _write_weights(export: Export, file: Path) -> None:
    metadata = {"format": "pt", "jlrun": json.dumps(export.description, ensure_ascii=False)}
    replace(file, save(dict(export.tensors), metadata=metadata))
