"""Checkpoints: weights as safetensors, everything else as tensors and plain values.

A checkpoint is a folder with ``model.safetensors`` and ``state.pt``. It is written beside its place
and renamed into it, so that a reader sees all of it or nothing. No pickle is ever executed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from jlrun.errors import UserError


def save(folder: Path, model: nn.Module, state: Mapping[str, Any]) -> None:
    """Write a checkpoint to ``folder``, replacing the one that stands there.

    Args:
        folder: for example ``outputs/…/checkpoints/last``.
        model: its parameters and buffers are written.
        state: nested dicts and lists of tensors, numbers, strings and None.
    """
    save_tensors(folder, model.state_dict(), state)


def save_tensors(folder: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write a checkpoint of weights that are not in a model at the moment; see `save`."""
    new, old = _sibling(folder, "new"), _sibling(folder, "old")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    save_file(_plain(tensors), new / "model.safetensors")
    torch.save(dict(state), new / "state.pt")
    for file in (new / "model.safetensors", new / "state.pt"):
        _sync(file)
    recover(folder)
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    _sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def recover(folder: Path) -> None:
    """Put right what a kill between the two renames of `save` left behind."""
    old = _sibling(folder, "old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
    elif old.exists():
        os.replace(old, folder)


def exists(folder: Path) -> bool:
    """Whether there is a checkpoint at ``folder``."""
    recover(folder)
    return folder.is_dir()


def load_model(folder: Path, model: nn.Module) -> None:
    """Load the weights of the checkpoint at ``folder`` into ``model``.

    Raises:
        UserError: if there is no checkpoint, it is damaged, or it is of another model.
    """
    tensors = load_tensors(folder)
    own = model.state_dict()
    wrong = [
        name
        for name in own.keys() | tensors.keys()
        if name not in own or name not in tensors or own[name].shape != tensors[name].shape
    ]
    if wrong:
        raise UserError.of(
            str(folder),
            f"the checkpoint is of another model: {len(wrong)} tensors differ, for example "
            f"{min(wrong)}",
        )
    model.load_state_dict(tensors)


def load_tensors(folder: Path) -> dict[str, Tensor]:
    """Return the weights of the checkpoint at ``folder``, on the CPU.

    Raises:
        UserError: if it is missing or damaged.
    """
    recover(folder)
    file = folder / "model.safetensors"
    if not file.is_file():
        raise UserError.of(str(file), "there is no such checkpoint")
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise UserError.of(str(file), f"the checkpoint is damaged ({error})") from error


def load_state(folder: Path) -> dict[str, Any]:
    """Return what `save` was given as ``state``.

    Raises:
        UserError: if it is missing or damaged.
    """
    recover(folder)
    file = folder / "state.pt"
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError.of(str(file), "there is no such checkpoint") from error
    except Exception as error:
        # PyTorch raises many kinds for a file that is not one of its own.
        raise UserError.of(str(file), f"the checkpoint is damaged ({error})") from error


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # safetensors refuses tensors that share memory; channels-last ones are made contiguous.
    return {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}


def _sibling(folder: Path, suffix: str) -> Path:
    return folder.with_name(f".{folder.name}.{suffix}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
