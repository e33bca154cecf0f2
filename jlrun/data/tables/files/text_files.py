"""Checks of text files: the configured encoding, and no other kind of file."""

from __future__ import annotations

from pathlib import Path

from jlrun.data.tables.files.layout import Reading
from jlrun.errors import UserError

_LOOKED_AT = 4096


def check_text_start(path: Path, reading: Reading, where: str) -> bytes:
    """Check the first bytes of a text file, and return them.

    Raises:
        UserError: if they are not text of the encoding: compressed, or of another character width.
    """
    with path.open("rb") as file:
        start = file.read(_LOOKED_AT)
    if start[:2] in (b"\x1f\x8b", b"PK"):
        raise UserError.of(str(path), "is a compressed file or a spreadsheet; save it as text")
    found = _wide_encoding(start)
    if found and not is_wide(reading.encoding):
        fix = f"set {where}.reading.encoding={found}"
        raise UserError.of(str(path), f"is {found.upper()} text, not {reading.encoding}; {fix}")
    return start


def is_wide(encoding: str) -> bool:
    """Whether an encoding has two or four bytes for each character."""
    return any(width in encoding for width in ("16", "32"))


def not_text(path: Path, reading: Reading, error: UnicodeError, where: str) -> UserError:
    """Return the error for a file that is not text of the encoding."""
    reason = getattr(error, "reason", None) or str(error)
    message = f"is not {reading.encoding} text ({reason}); set {where}.reading.encoding"
    return UserError.of(str(path), message)


def _wide_encoding(start: bytes) -> str:
    """Return the multi-byte encoding in which a file begins; '' if none.

    Without a byte order mark, zeros reveal it: most characters of a header are below 256.
    """
    if start[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "utf-32"
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    whole = start[: len(start) // 4 * 4]
    zeros = [whole[i::4].count(0) > 0.4 * len(whole) / 4 for i in range(4)]
    named = {
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
        (False, True, False, True): "utf-16-le",
        (True, False, True, False): "utf-16-be",
    }
    return named.get((zeros[0], zeros[1], zeros[2], zeros[3]), "") if whole else ""
