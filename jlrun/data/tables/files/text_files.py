"""Files of text that are not what the config says: another encoding, another kind of file."""

from __future__ import annotations

from pathlib import Path

from jlrun.data.tables.files.layout import Reading
from jlrun.errors import UserError

_LOOKED_AT = 4096


def check_text_start(path: Path, reading: Reading, where: str) -> bytes:
    """Return how a file of text begins.

    Raises:
        UserError: if that is no text of the encoding: compressed, or two bytes to a letter.
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
    """Whether a letter takes two or four bytes of an encoding."""
    return any(width in encoding for width in ("16", "32"))


def not_text(path: Path, reading: Reading, error: UnicodeError, where: str) -> UserError:
    """Return the error of a file that is not text of the encoding."""
    reason = getattr(error, "reason", None) or str(error)
    message = f"is not {reading.encoding} text ({reason}); set {where}.reading.encoding"
    return UserError.of(str(path), message)


def _wide_encoding(start: bytes) -> str:
    """Return the encoding of several bytes to a letter that a file begins in; '' if none.

    Without a mark it shows by the zeros: nearly every letter of a table's first line is below 256.
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
