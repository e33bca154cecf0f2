"""Decoded files that the jobs of a sweep or a study share, or the epochs of a run that streams its
files: each is decoded once.

An entry is a decoded picture or recording in a file of its own, complete or absent, whose name
tells path, size and time of change of the original, and the form it was brought to. While one
process decodes a file, others that need it wait; should that process be killed, its lock ends with
it. A process adds at most ``engine.memory_budget`` bytes, and none while less than a tenth of the
disk is free. Whatever is wrong with an entry or the disk, files are decoded as if there were none.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from jlrun.files import limits

try:
    import fcntl
except ImportError:  # a system without: two processes may decode the same file
    fcntl = None

_FREE = 0.1  # share of the disk that is left free
_OFFSETS = 2**30  # of locks, in the lock file
_CHECKSUM_BYTES = 4


@dataclass
class _Shared:
    """Where entries are.

    Attributes:
        folder: of the entries.
        lock: file descriptor of the lock file; None: no locks.
        num_bytes: that this process has added.
    """

    folder: Path
    lock: int | None
    num_bytes: int = 0


_shared: _Shared | None = None


@contextmanager
def kept_in(folder: Path) -> Iterator[None]:
    """Share what is decoded within the block by way of ``folder``, which is deleted at its end."""
    forget(folder)  # of an earlier one that was killed
    try:
        with shared_in(folder):
            yield
    finally:
        forget(folder)


def kept_unless_shared(folder: Path) -> AbstractContextManager[None]:
    """Do the same as `kept_in`, unless what is decoded is shared already, with more jobs."""
    return kept_in(folder) if _shared is None else nullcontext()


@contextmanager
def shared_in(folder: Path) -> Iterator[None]:
    """Share what is decoded within the block by way of ``folder``, which others delete."""
    global _shared
    before, lock = _shared, None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666) if fcntl else None
        _shared = _Shared(folder, lock)
    except OSError:  # a place that can't be written: files are decoded as ever
        _shared = None
    try:
        yield
    finally:
        _shared = before
        if lock is not None:
            os.close(lock)


def forget(folder: Path) -> None:
    """Delete the entries in a folder."""
    shutil.rmtree(folder, ignore_errors=True)


def decoded(
    path: str | Path,
    form: tuple[object, ...],
    shape: tuple[int, ...],
    dtype: torch.dtype,
    read: Callable[[], Tensor],
) -> Tensor:
    """Return what ``read`` makes of a file, or what another job has made of it.

    Args:
        path: of the file.
        form: all that the result depends on, next to the content of the file.
        shape, dtype: of the result.
        read: decodes the file, to a tensor on the CPU.

    Raises:
        UserError: as ``read`` does.
    """
    if _shared is None:
        return read()
    try:
        state = os.stat(path)
    except (OSError, ValueError):  # which reading words better
        return read()
    known = (os.path.abspath(path), state.st_size, state.st_mtime_ns, limits.limit(), *form)
    key = hashlib.blake2b(repr(known).encode("utf-8", "surrogateescape"), digest_size=16)
    entry = _shared.folder / key.hexdigest()[:2] / key.hexdigest()[2:]
    found = _read(entry, shape, dtype)
    if found is not None:
        return found
    with _locked(_shared, int.from_bytes(key.digest()[:4], "little") % _OFFSETS):
        found = _read(entry, shape, dtype)  # which another process has made meanwhile
        if found is None:
            found = read()
            assert (found.shape, found.dtype) == (shape, dtype), "another form than expected"
            _write(entry, found, _shared)
    return found


def _read(entry: Path, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor | None:
    try:
        content = bytearray(entry.read_bytes())
    except OSError:
        return None
    checksum = bytes(content[-_CHECKSUM_BYTES:])
    del content[-_CHECKSUM_BYTES:]
    count = torch.Size(shape).numel()
    if len(content) != count * dtype.itemsize or checksum != _checksum(content):
        return None
    if not count:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(content, dtype=dtype).view(shape)


def _write(entry: Path, found: Tensor, shared: _Shared) -> None:
    content = found.contiguous().numpy().tobytes()
    if shared.num_bytes + len(content) > limits.limit():
        return
    partial = entry.with_name(f".{entry.name}.{secrets.token_hex(4)}.new")
    with suppress(OSError):  # a full disk: the other jobs decode the file themselves
        disk = os.statvfs(shared.folder)
        if disk.f_bavail < _FREE * disk.f_blocks:
            return
        try:
            try:
                partial.write_bytes(content + _checksum(content))
            except FileNotFoundError:  # the first one in its folder; asking costs a write
                entry.parent.mkdir(exist_ok=True)
                partial.write_bytes(content + _checksum(content))
            os.replace(partial, entry)
            shared.num_bytes += len(content)
        except OSError:
            partial.unlink(missing_ok=True)
            raise


def _checksum(content: bytes | bytearray) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "little")


@contextmanager
def _locked(shared: _Shared, offset: int) -> Iterator[None]:
    """Let no other process decode the file: a lock on one byte, which ends with its process."""
    if fcntl is None or shared.lock is None:
        yield
        return
    try:
        fcntl.lockf(shared.lock, fcntl.LOCK_EX, 1, offset)
    except OSError:  # a file system without locks
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):
            fcntl.lockf(shared.lock, fcntl.LOCK_UN, 1, offset)
