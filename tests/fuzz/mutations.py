"""Damage to the bytes of a file: what disks, editors, programs and hostile people do."""

from __future__ import annotations

import random
from collections.abc import Callable

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**31 + 1, 10**9)


def mutated(rng: random.Random, content: bytes, *, text: bool) -> tuple[bytes, str]:
    """Return damaged content, and what was done to it."""
    kinds = [*_BINARY, *(_TEXT if text else {})]
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        kind = rng.choice(kinds)
        content = (_BINARY | _TEXT)[kind](rng, content)
        done.append(kind)
    return content, " + ".join(done)


def _flip(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 4, 30)) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _flip_head(rng: random.Random, content: bytes) -> bytes:
    return _flip(rng, content[:64]) + content[64:]


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _cut_last(rng: random.Random, content: bytes) -> bytes:
    return content[: -rng.randrange(1, 9)]


def _insert(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.randbytes(rng.choice((1, 4, 300))) + content[at:]


def _number(rng: random.Random, content: bytes) -> bytes:
    """Put a number that a header may hold somewhere in the first bytes."""
    at, size = rng.randrange(min(len(content), 96) + 1), rng.choice((2, 4, 8))
    order = rng.choice(("little", "big"))
    number = (rng.choice(_NUMBERS) & (1 << 8 * size) - 1).to_bytes(size, order)
    return content[:at] + number + content[at + size :]


def _nothing(rng: random.Random, content: bytes) -> bytes:
    return b""


def _noise(rng: random.Random, content: bytes) -> bytes:
    return rng.randbytes(len(content))


def _twice(rng: random.Random, content: bytes) -> bytes:
    return content + content


def _zeros(rng: random.Random, content: bytes) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + bytes(rng.choice((1, 16, 4096))) + content[at:]


def _other(rng: random.Random, content: bytes) -> bytes:
    return rng.choice(_OTHERS)


_OTHERS = (
    b"PK\x03\x04rest", b"\x1f\x8b\x08\x00rest", b"{}", b"[]", b"null", b"\n\n\n", b"\xff\xfe",
    b"\xef\xbb\xbf", b"%PDF-1.4", b"<html></html>", b"version https://git-lfs.github.com/spec/v1\n",
    b'{"a": 1}', b'[{"a": 1}]', b"a\n", b"a,b\n", b"a,b\n1,2", b"RIFF\x00\x00\x00\x00WAVE",
)  # fmt: skip


def _encoded(rng: random.Random, content: bytes) -> bytes:
    encoding = rng.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "utf-8-sig",
                           "cp1252", "utf-7", "shift-jis", "cp500"))  # fmt: skip
    words = content.decode("utf-8", "replace").replace("nice", "nicé ß").replace("�", "?")
    return words.encode(encoding, "replace")


def _cell(rng: random.Random, content: bytes) -> bytes:
    """Replace a word by something odd."""
    words = content.split(b",") if b"," in content else content.split(b" ")
    words[rng.randrange(len(words))] = rng.choice(_CELLS)
    return (b"," if b"," in content else b" ").join(words)


_CELLS = (
    b"", b'"', b'""', b'"a', b"'", b"x" * 5000, b"x" * 300_000, b"1e999", b"-1e999", b"nan", b"inf",
    b"1" * 400, b"1_000", b"1.234,56", b"\x00", b"\xff", b"=1+1", b"$x$", b"2020-01-01", b"true",
    b"null", b"[[1],[2,[3]]]", b"{}", b"{a: &a [*a]}", b"&x [*x]", b"!!python/object:os.system x",
    b"${nothing}", b"${seed}", b"???", b"a: b: c", b"\t", b"- x", b"[" * 3000, b'{"a":' * 3000,
    b"../../x", b"/", b".", b"9" * 5000, b"\r", b"\n", b"\r\n", b"a,b,c", "é🙂".encode(),
)  # fmt: skip


def _line(rng: random.Random, content: bytes) -> bytes:
    """Drop, double, swap or replace lines."""
    lines = content.split(b"\n")
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(6):
        case 0:
            del lines[at]
        case 1:
            lines.insert(to, lines[at])
        case 2:
            lines[at], lines[to] = lines[to], lines[at]
        case 3:
            lines = lines[:1]
        case 4:
            lines = lines[: rng.randrange(4)]
        case _:
            lines[at] = rng.choice(_CELLS)
    return b"\n".join(lines)


def _line_ends(rng: random.Random, content: bytes) -> bytes:
    return content.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\r", b"\n\n", b"\x00", b" ")))


def _delimiters(rng: random.Random, content: bytes) -> bytes:
    return content.replace(b",", rng.choice((b";", b"\t", b"|", b"", b",,", b" ", b'","')))


def _column(rng: random.Random, content: bytes) -> bytes:
    """Give every row another value of its last cell."""
    cell = rng.choice((b"", b"x", b"1", b"1e400", b"nan", b"-", b"99999999999999999999", b"[1,2]"))
    lines = content.split(b"\n")
    return b"\n".join([lines[0], *(b",".join([*x.split(b",")[:-1], cell]) for x in lines[1:])])


_BINARY: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "flipped bits": _flip,
    "flipped bits of the head": _flip_head,
    "cut": _cut,
    "cut at the end": _cut_last,
    "inserted noise": _insert,
    "a number in the head": _number,
    "emptied": _nothing,
    "noise": _noise,
    "twice": _twice,
    "zeros": _zeros,
    "something else": _other,
}
_TEXT: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "another encoding": _encoded,
    "an odd cell": _cell,
    "odd cell": _cell,
    "lines": _line,
    "line ends": _line_ends,
    "delimiters": _delimiters,
    "a column": _column,
}
