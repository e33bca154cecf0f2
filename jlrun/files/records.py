"""Record files, the container of TensorBoard's event files.

A record is its length as 8 bytes, a checksum of these, its bytes, and a checksum of them. Checksums
are CRC-32C, rotated by 15 bits, plus a constant, so that they are still good ones of data in which
there are checksums. TensorBoard computes them byte by byte in Python: for a picture that takes as
long as drawing it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from google_crc32c import value as crc32c

_LENGTH, _CHECKSUM = struct.Struct("<Q"), struct.Struct("<I")
_ADDED, _BITS = 0xA282EAD8, 0xFFFFFFFF


def framed(data: bytes) -> bytes:
    """Return the bytes of the record of ``data``."""
    length = _LENGTH.pack(len(data))
    return b"".join((length, _checksum(length), data, _checksum(data)))


def read_records(file: BinaryIO) -> Iterator[bytes]:
    """Yield the records of a file up to the first one that is not as it was written."""
    while True:
        length = file.read(_LENGTH.size)
        if len(length) < _LENGTH.size or file.read(_CHECKSUM.size) != _checksum(length):
            return
        (size,) = _LENGTH.unpack(length)
        data = file.read(size)
        if len(data) < size or file.read(_CHECKSUM.size) != _checksum(data):
            return
        yield data


def _checksum(data: bytes) -> bytes:
    crc = crc32c(data)
    return _CHECKSUM.pack(((crc >> 15 | crc << 17) + _ADDED) & _BITS)
