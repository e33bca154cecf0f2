"""Records of TensorBoard's event files; TensorBoard's own writer looks at one byte at a time."""

# A record: uint64 length, uint32 its masked CRC-32C, the data, uint32 their masked CRC-32C

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, its bits reversed
_BLOCK = 256  # bytes; blocks are looked at next to each other


def record_of(data: bytes) -> bytes:
    """Return the bytes of a record."""
    header = struct.pack("<Q", len(data))
    return header + _masked(header) + data + _masked(data)


def _masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of the data (RFC 3720, appendix B.4).

    It is linear over bits: a block in front of n bytes adds its own CRC, moved on by n zeros.
    """
    short = len(data) % _BLOCK
    state = _by_bytes(0xFFFFFFFF, data[:short])
    if len(data) > short:
        blocks = np.frombuffer(data, np.uint8, offset=short).reshape(-1, _BLOCK)
        table, moved = _table(), _moved()
        found = np.zeros(len(blocks), np.uint32)
        for column in blocks.T:
            found = table[(found ^ column) & 0xFF] ^ (found >> 8)
        for block in found.tolist():
            state = block ^ (
                moved[0][state & 0xFF]
                ^ moved[1][state >> 8 & 0xFF]
                ^ moved[2][state >> 16 & 0xFF]
                ^ moved[3][state >> 24]
            )
    return state ^ 0xFFFFFFFF


def _by_bytes(state: int, data: bytes) -> int:
    table = _list()
    for byte in data:
        state = table[(state ^ byte) & 0xFF] ^ state >> 8
    return state


@lru_cache
def _table() -> np.ndarray:
    """Return what the last byte of a state becomes, uint32 ``(256,)``."""
    found = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        found = np.where(found & 1, found >> 1 ^ _POLYNOMIAL, found >> 1).astype(np.uint32)
    return found


@lru_cache
def _list() -> list[int]:
    return _table().tolist()


@lru_cache
def _moved() -> list[list[int]]:
    """Return what each byte of a state becomes after a block of zeros, four times 256 states."""
    found = np.arange(256, dtype=np.uint32) << np.array([[0], [8], [16], [24]], dtype=np.uint32)
    for _ in range(_BLOCK):
        found = _table()[found & 0xFF] ^ (found >> 8)
    return found.tolist()
