"""Reading of named tensors from files of any library; pickled code is never executed."""

from __future__ import annotations

import os
import re
import zipfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor
from torch.serialization import safe_globals

from jlrun.errors import UserError
from jlrun.files.bounded_text import DEEPEST, read_json
from jlrun.files.limits import size_text
from jlrun.files.regular import check_regular
from jlrun.files.run_directory import RunDirectory
from jlrun.models import checkpoints

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")

# Contents of a folder of weights: a run or checkpoint of jlrun, a model of Hugging Face.
_SELECTED = str(RunDirectory(Path()).weights)
_IN_FOLDER = (checkpoints.WEIGHTS, _SELECTED, "pytorch_model.bin")
# Keys of the model in checkpoints of training loops.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")


def read_weights(path: Path, where: str) -> dict[str, Tensor]:
    """Return the tensors of a file by name, on the CPU, in the file's order.

    Where a file holds more than a model, the model is returned; names of nested parts are joined by
    points, as in ``teacher.backbone.norm.weight``.

    Args:
        path: ``.safetensors``, ``.pth``, ``.pt`` or ``.bin``, or a folder: a run or checkpoint of
            jlrun, or a model as Hugging Face saves it.
        where: config path, for errors.

    Raises:
        UserError: if there is no such file, it can't be read, or it holds no tensors.
    """
    file = weight_file(path, where)
    folder = Path(os.path.abspath(file.parent))  # a relative path may name too few folders
    if (folder / checkpoints.SUMS).exists() or _is_best(folder / file.name):
        checkpoints.verify(folder)
    try:
        content = _content(file)
    except Exception as error:  # the readers raise many kinds of errors, all of one meaning
        raise UserError.of(
            where, f"'{file}' can't be read as tensors only: {_why(error)}"
        ) from error
    tensors = {name.replace("_orig_mod.", ""): t for name, t in _flat(_unwrapped(content), "")}
    if not tensors:
        raise UserError.of(where, f"'{file}' holds no named tensors: expected a state dict.")
    return tensors


def weight_file(path: Path, where: str) -> Path:
    """Return ``path`` if it is a file, or the weight file of the folder ``path``.

    Raises:
        UserError: if there is none.
    """
    path = path.expanduser()
    if path.is_file():
        return path
    if path.exists() and not path.is_dir():
        check_regular(path, where)
    if not path.exists():
        raise UserError.of(
            where,
            f"there is no file '{path}'. Expected weights as {', '.join(SUFFIXES)}, or the folder "
            "of a run or checkpoint.",
        )
    for name in _IN_FOLDER:
        if (path / name).is_file():
            return path / name
    if list(path.glob("*.index.json")):
        raise UserError.of(
            where,
            f"the weights in '{path}' are split over several files; save them as one (in "
            "transformers: save_pretrained with a larger max_shard_size).",
        )
    raise UserError.of(where, f"the folder '{path}' has none of {', '.join(_IN_FOLDER)}.")


def _is_best(file: Path) -> bool:
    """Whether a file is the weights of a checkpoint in a run."""
    folder = file.parent
    return (
        file.name == checkpoints.WEIGHTS
        and len(folder.parents) > 1
        and folder.parent == RunDirectory(folder.parents[1]).checkpoints
    )


def settings_beside(file: Path) -> Mapping[str, Any]:
    """Return the ``config.json`` in the folder of a weight file, empty if there is none."""
    path = file.parent / "config.json"
    if not path.is_file():
        return {}
    try:
        content = read_json(file.parent / "config.json")
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or the name of its type."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _why(error: Exception) -> str:
    """Return the problem of a file, from the error that reading it raised."""
    pickled = re.search(r"GLOBAL (\S+)", str(error))
    if pickled:
        return (
            f"it holds a {pickled.group(1)}, and code that a file brings is never run. Save the "
            "state dict alone: torch.save(model.state_dict(), …)"
        )
    if isinstance(error, KeyError | EOFError | UnpicklingError):
        return "torch.save wrote no such file, or not all of it"
    return first_line(error)


def _content(file: Path) -> Any:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    _check_unpacked_size(file)
    # weights_only: nothing that a file pickles is ever executed. Common training loops
    # (torchvision's references, timm) save their command line too: attributes, no code.
    with safe_globals([Namespace]):
        return torch.load(file, map_location="cpu", weights_only=True)


def _check_unpacked_size(file: Path) -> None:
    """Check that an archive is not much larger unpacked; torch.save never compresses."""
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    held = file.stat().st_size
    if unpacked > held:
        raise ValueError(
            f"its archive promises {size_text(unpacked)}, the file holds {size_text(held)}"
        )


def _unwrapped(content: Any) -> Any:
    seen = set[int]()
    while isinstance(content, Mapping) and id(content) not in seen:
        seen.add(id(content))
        inner = next(
            (content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None
        )
        if inner is None or not any(True for _ in _flat(inner, "")):
            return content
        content = inner
    return content


def _flat(content: Any, prefix: str, seen: set[int] | None = None) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of nested mappings; one that occurs several times is read once."""
    seen = set() if seen is None else seen
    if not isinstance(content, Mapping) or id(content) in seen or prefix.count(".") > DEEPEST:
        return
    seen.add(id(content))
    for name, value in content.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{name}", value
        elif name != "optimizer":
            yield from _flat(value, f"{prefix}{name}.", seen)
