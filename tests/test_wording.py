"""Counts with their nouns."""

from __future__ import annotations

import pytest

from jlrun.wording import counted


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [
        (1, "row", "1 row"),
        (0, "row", "0 rows"),
        (1234, "row", "1,234 rows"),
        (2, "class", "2 classes"),
        (2, "batch", "2 batches"),
        (1, "modality", "1 modality"),
        (2, "modality", "2 modalities"),
        (2, "day", "2 days"),
        (2, "training row", "2 training rows"),
    ],
)
def test_one_is_singular(number: int, noun: str, words: str) -> None:
    assert counted(number, noun) == words
