"""Checkpoints: weights as safetensors, everything else as tensors and plain values.

A checkpoint is a folder with ``model.safetensors``, ``state.pt`` and ``SHA256SUMS``, which detects
damage (``sha256sum -c SHA256SUMS`` does the same). It is written to a temporary folder next to its
place and renamed, so that a reader never sees a part of it, even during a run. No pickle is ever
executed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from jlrun.errors import Problem, UserError
from jlrun.files.atomic import sync, write_bytes
from jlrun.models import sharded_checkpoints
from jlrun.ranks.shards import load_weights
from jlrun.ranks.world import World
from jlrun.wording import counted

WEIGHTS, STATE, SUMS = "model.safetensors", "state.pt", "SHA256SUMS"
_TRIES = 20  # of reading a checkpoint that a run may replace meanwhile


class DamagedCheckpoint(UserError):
    """Checkpoint whose files are not those that were written, or of which some are missing."""


def save(
    folder: Path, model: nn.Module, state: Mapping[str, Any], *, keep_previous: bool = False
) -> None:
    """Write a checkpoint to ``folder``, replacing the one there.

    Args:
        folder: for example ``outputs/…/checkpoints/last``.
        model: its parameters and buffers are written.
        state: nested dicts and lists of tensors, numbers, strings and None.
        keep_previous: keep the one that was there, under the path of `previous`.

    Raises:
        OSError: if the disk is full, or the folder can't be written; the old checkpoint is then
            still there.
    """
    save_tensors(folder, model.state_dict(), state, keep_previous=keep_previous)


def save_tensors(
    folder: Path,
    tensors: Mapping[str, Tensor],
    state: Mapping[str, Any],
    *,
    keep_previous: bool = False,
) -> None:
    """Write a checkpoint of weights that are not in a model at the moment; see `save`."""
    new = _fresh(folder)
    try:
        _complete(folder, new, tensors, state, {})
    finally:
        shutil.rmtree(new, ignore_errors=True)  # leftovers of a full disk
    if not keep_previous:
        shutil.rmtree(previous(folder), ignore_errors=True)


def save_shards(
    folder: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any], world: World
) -> None:
    """Write a checkpoint of which each rank has a part, and keep the previous one; see `save`.

    All ranks must call it. It is read as any other, by any number of ranks.
    """
    weights, plain, shards = sharded_checkpoints.split(tensors, state)
    new = world.of_first(lambda: _fresh(folder))
    try:
        digests = sharded_checkpoints.write(new, shards, world)
        world.of_first(lambda: _complete(folder, new, weights, plain, digests))
    finally:
        if world.is_first:
            shutil.rmtree(new, ignore_errors=True)


def _fresh(folder: Path) -> Path:
    """Return a new, empty folder next to ``folder``."""
    new = folder.with_name(f".{folder.name}.new")
    _remove(new)
    new.mkdir(parents=True)
    return new


def _complete(
    folder: Path,
    new: Path,
    tensors: Mapping[str, Tensor],
    state: Mapping[str, Any],
    more: Mapping[str, str],
) -> None:
    """Write a checkpoint to ``new``, where files with the digests ``more`` are, and put it in the
    place of the one at ``folder``, which becomes the previous one."""
    old = previous(folder)
    digests = {WEIGHTS: _write_weights(new, tensors), STATE: _write_state(new, state), **more}
    write_bytes(new / SUMS, _sums(digests))
    recover(folder)
    if folder.exists():
        _remove(old)
        os.replace(folder, old)
    os.replace(new, folder)
    sync(folder.parent)


def previous(folder: Path) -> Path:
    """Return the path of the checkpoint before the one at ``folder``."""
    return folder.with_name(f"{folder.name}.previous")


def forget_previous(folder: Path) -> None:
    """Remove the previous checkpoint, which nothing resumes from any more."""
    shutil.rmtree(previous(folder), ignore_errors=True)


def recover(folder: Path) -> None:
    """Repair an interruption between the two renames of `save`.

    For the process that writes the checkpoint, and for no other.
    """
    if not folder.exists() and previous(folder).exists():
        os.replace(previous(folder), folder)


def go_back(folder: Path, damage: UserError) -> None:
    """Replace a damaged checkpoint by the previous one.

    Args:
        folder: of the damaged checkpoint.
        damage: the error of `verify`.

    Raises:
        UserError: ``damage``, if there is no intact one.
    """
    old = previous(folder)
    try:
        verify(old)
    except UserError:
        raise damage from None
    _remove(folder)
    os.replace(old, folder)
    sync(folder.parent)


def exists(folder: Path) -> bool:
    """Whether there is a checkpoint at ``folder``."""
    return folder.is_dir() or previous(folder).is_dir()


def load_model(folder: Path, model: nn.Module) -> None:
    """Load the weights of the checkpoint at ``folder`` into ``model``.

    Raises:
        UserError: if there is no checkpoint, it is damaged, or it is of another model.
    """
    put(folder, load_tensors(folder), model)


def put(folder: Path, tensors: Mapping[str, Tensor], model: nn.Module) -> None:
    """Load the weights ``tensors``, which are those in ``folder``, into ``model``.

    Raises:
        UserError: if they are of another model.
    """
    own = model.state_dict()
    wrong = [
        name
        for name in own.keys() | tensors.keys()
        if name not in own or name not in tensors or own[name].shape != tensors[name].shape
    ]
    if wrong:
        raise UserError.of(
            str(folder),
            f"the checkpoint is of another model: it differs in "
            f"{counted(len(wrong), 'tensor')}, for example {min(wrong)}",
        )
    load_weights(model, tensors)


def load_tensors(folder: Path) -> dict[str, Tensor]:
    """Return the weights of the checkpoint at ``folder``, on the CPU, in the order of their names.

    Raises:
        UserError: if it is missing or damaged.
    """
    content = _read(folder, WEIGHTS)
    try:
        tensors = safetensors.torch.load(content) | sharded_checkpoints.weights_in(_place(folder))
        # The library returns them in an order that differs from call to call.
        return dict(sorted(tensors.items()))
    except Exception as error:  # the readers raise many kinds of errors for foreign files
        raise _damaged(folder, f"{WEIGHTS}: {error}") from error


def load_state(folder: Path) -> dict[str, Any]:
    """Return the ``state`` that `save` wrote.

    Raises:
        UserError: if it is missing or damaged.
    """
    content = _read(folder, STATE)
    try:
        state = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
        return sharded_checkpoints.joined(_place(folder), state)
    except Exception as error:
        raise _damaged(folder, f"{STATE}: {error}") from error


def verify(folder: Path) -> None:
    """Check that the checkpoint at ``folder`` is as it was written.

    Raises:
        DamagedCheckpoint: if it is not.
        UserError: if there is none.
    """
    _read(folder, STATE)


def _read(folder: Path, name: str) -> bytes:
    """Return the content of a file of the checkpoint; all of its files are as they were written.

    A run may replace the checkpoint meanwhile: then it is read again.
    """
    for _ in range(_TRIES):
        place = _place(folder)
        if not place.exists():
            raise UserError.of(str(folder), "there is no such checkpoint")
        before = _identity(place)
        try:
            content, wrong = _checked(place, name)
        except OSError as error:
            content, wrong = b"", _why(error, place)
        if wrong is None:
            return content
        if before is not None and _identity(place) == before:
            raise _damaged(folder, wrong)
    raise UserError.of(str(folder), "changes all the time; try again")


def _place(folder: Path) -> Path:
    """Return where the checkpoint is, also between the two renames of `save`."""
    return folder if folder.exists() or not previous(folder).is_dir() else previous(folder)


def _checked(place: Path, name: str) -> tuple[bytes, str | None]:
    """Return the content of a file, and the problem of the checkpoint, or None."""
    content, digests = b"", dict[str, str]()
    for file in (WEIGHTS, STATE, *sharded_checkpoints.files(place)):
        found = (place / file).read_bytes()
        digests[file] = sha256(found).hexdigest()
        content = found if file == name else content
    sums = (place / SUMS).read_bytes()
    if sums == _sums(digests):
        return content, None
    known = sums.decode(errors="replace").splitlines()
    wrong = [file for file, digest in digests.items() if f"{digest}  {file}" not in known] or [SUMS]
    return content, f"{' and '.join(wrong)}: not as written, by {SUMS}"


def _sums(digests: Mapping[str, str]) -> bytes:
    """Return the content of `SUMS`, as ``sha256sum`` writes it."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests, key=_order)).encode()


def _order(name: str) -> tuple[bool, bool, str]:
    return name != WEIGHTS, name != STATE, name


def _identity(place: Path) -> tuple[int, int] | None:
    try:
        state = place.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino


def _why(error: OSError, place: Path) -> str:
    name = Path(str(error.filename)).name
    where = name if name in (WEIGHTS, STATE, SUMS) else place.name
    return f"{where}: {error.strerror}"


def _damaged(folder: Path, why: str) -> DamagedCheckpoint:
    anew = f"delete '{folder.parent}' and result.json, and `jlrun resume` trains this anew"
    if previous(folder).is_dir():
        anew = "`jlrun resume` goes on from the one before it"
    message = f"the checkpoint is damaged ({why}); restore it from a copy, or {anew}"
    return DamagedCheckpoint([Problem(str(folder), message)])


def _write_weights(folder: Path, tensors: Mapping[str, Tensor]) -> str:
    # safetensors refuses tensors that share memory; channels-last ones are made contiguous.
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    return _write(folder / WEIGHTS, safetensors.torch.save(plain))


def _write_state(folder: Path, state: Mapping[str, Any]) -> str:
    # In memory first: PyTorch's own writer answers a full disk without the reason.
    buffer = BytesIO()
    torch.save({name: _alone(value) for name, value in state.items()}, buffer)
    return _write(folder / STATE, buffer.getbuffer())


def _alone(value: Any) -> Any:
    """Return nested values with copies of tensors that are parts of larger ones.

    PyTorch would write the whole of these.
    """
    if isinstance(value, Tensor):
        whole = value.untyped_storage().nbytes() > value.numel() * value.element_size()
        return value.contiguous().clone() if whole else value
    if isinstance(value, dict):
        return {name: _alone(inner) for name, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_alone(inner) for inner in value)
    return value


def _write(path: Path, content: bytes | memoryview) -> str:
    """Write a file and return its SHA-256, which is computed while the disk is at work."""
    with ThreadPoolExecutor(1) as pool:
        digest = pool.submit(lambda: sha256(content).hexdigest())
        write_bytes(path, content)
        return digest.result()


def _remove(path: Path) -> None:
    """Remove a folder, or a file in the place of one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
