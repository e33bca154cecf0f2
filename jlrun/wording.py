"""Words for people: counts with their nouns."""

from __future__ import annotations


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
