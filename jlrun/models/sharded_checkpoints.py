"""Checkpoints in shards: each rank writes its own, and any number of ranks reads them as a whole.

The folder is that of `jlrun.models.checkpoints`, with one more folder, ``shards``, that PyTorch's
`torch.distributed.checkpoint` writes: files of safetensors, which execute nothing. Ranks on several
machines need a folder that all of them see.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from jlrun.ranks.shards import is_shard
from jlrun.ranks.world import World

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

SHARDS = "shards"
_WEIGHTS, _STATE = "weights/", "state/"
_MARK = "tensor in shards"  # the key in the place of a tensor of the state


def split(
    tensors: Mapping[str, Tensor], state: Mapping[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, DTensor]]:
    """Return weights and state without shards, and the shards by name; see `joined`."""
    shards: dict[str, Any] = {f"{_WEIGHTS}{n}": x for n, x in tensors.items() if is_shard(x)}
    whole = {name: x for name, x in tensors.items() if not is_shard(x)}
    marked = _marked(state, shards, count())
    return whole, marked, shards


def write(folder: Path, shards: Mapping[str, DTensor], world: World) -> dict[str, str]:
    """Write this rank's parts of shards into ``folder/shards``; all ranks must call it.

    Returns:
        name of a file -> SHA-256, of the files of all ranks.
    """
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    place = folder / SHARDS
    save(
        dict(shards),
        storage_writer=HuggingFaceStorageWriter(str(place), save_distributed=True),
        process_group=getattr(world, "control", None),
    )
    world.barrier()
    own = files(folder)[world.rank :: world.size]
    each = world.all_objects({name: _digest(folder / name) for name in own})
    return {name: digest for found in each for name, digest in found.items()}


def files(folder: Path) -> list[str]:
    """Return the names of the files of shards in a checkpoint, in order."""
    return sorted(f"{SHARDS}/{path.name}" for path in (folder / SHARDS).glob("*"))


def weights_in(folder: Path) -> dict[str, Tensor]:
    """Return the weights that are in shards, whole."""
    found = _read(folder, _WEIGHTS)
    return {name.removeprefix(_WEIGHTS): tensor for name, tensor in found.items()}


def joined(folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    """Return the state that `split` was given, with whole tensors, of the one it returned."""
    if not files(folder):
        return state
    return _filled(state, _read(folder, _STATE))


def _read(folder: Path, prefix: str) -> dict[str, Tensor]:
    if not files(folder):
        return {}
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.metadata import TensorStorageMetadata
    from torch.distributed.checkpoint.state_dict_loader import load

    reader = HuggingFaceStorageReader(str(folder / SHARDS))
    found = {}
    for name, kept in reader.read_metadata().state_dict_metadata.items():
        if name.startswith(prefix):
            assert isinstance(kept, TensorStorageMetadata)
            found[name] = torch.empty(kept.size, dtype=kept.properties.dtype)
    if found:
        with warnings.catch_warnings():  # that other ranks read nothing, which is so
            warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
            load(found, storage_reader=reader, no_dist=True)
    return found


def _marked(x: Any, shards: dict[str, Any], numbers: Iterator[int]) -> Any:
    if is_shard(x):
        name = f"{_STATE}{next(numbers)}"
        shards[name] = x
        return {_MARK: name}
    if isinstance(x, Mapping):
        return {key: _marked(value, shards, numbers) for key, value in x.items()}
    if type(x) in (list, tuple):
        return type(x)(_marked(value, shards, numbers) for value in x)
    return x


def _filled(x: Any, found: Mapping[str, Tensor]) -> Any:
    if isinstance(x, Mapping):
        if x.keys() == {_MARK}:
            return found[x[_MARK]]
        return {key: _filled(value, found) for key, value in x.items()}
    if type(x) in (list, tuple):
        return type(x)(_filled(value, found) for value in x)
    return x


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
