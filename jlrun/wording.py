"""Words for people: counts with their nouns, texts that fit."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap

_NARROWEST = 20  # characters of a line that texts are wrapped to


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as in ``1 row`` and ``1,234 rows``.

    Args:
        number: how many.
        noun: for one; that of several ends in ``s``, in ``es`` after a hiss, in ``ies`` for a ``y``
            after a consonant.
    """
    return f"{number:,} {noun if number == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """Return a noun for several."""
    if noun.endswith(("s", "x", "ch", "sh")) and not noun.endswith("epoch"):  # a k in it
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def shorten(text: str, length: int) -> str:
    """Cut ``text`` to at most ``length`` characters; an ellipsis stands before the last quarter."""
    tail = length // 4
    return text if len(text) <= length else f"{text[: length - tail - 1]}…{text[-tail:]}"


def terminal_width(otherwise: int) -> int:
    """Return how many characters a printed line may have.

    Args:
        otherwise: where output goes to no terminal, and COLUMNS does not say.
    """
    is_known = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal()
    return shutil.get_terminal_size().columns if is_known else otherwise


def wrapped(text: str, width: int, indent: str = "", first: str | None = None) -> str:
    """Return a text in lines of at most ``width`` characters; longer words stay whole.

    Args:
        text: without line breaks.
        width: characters.
        indent: of lines.
        first: of the first line; None: as the others.
    """
    return textwrap.fill(
        text,
        max(width, _NARROWEST + len(indent)),
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
