"""Counts of texts with a token or a pair, and their weights."""

from __future__ import annotations

import math

import pytest

from jlrun.data.reading.document_frequencies import DocumentFrequencies
from jlrun.data.reading.texts import fit_text_spec

TEXTS = ("a b a b", "b a", "a b c")


def counted(texts: tuple[str, ...] = TEXTS) -> DocumentFrequencies:
    found = DocumentFrequencies()
    for text in texts:
        found.add(text.split())
    return found


def test_idf_is_smooth() -> None:
    """ln ((1 + 3) / (1 + df)) + 1, of 3, 1 and 0 texts."""
    wanted = (1.0, math.log(2) + 1, math.log(4) + 1)
    assert counted().idf(("a", "c", "z")) == pytest.approx(wanted)


def test_a_text_counts_once() -> None:
    ids = {"a": 2, "b": 3, "c": 4}
    pairs, idf = counted().pairs(ids, max_size=9, min_count=2)
    assert pairs == ((2, 3), (3, 2))  # "a b" and "b a" in two texts each; "b c" in one
    assert idf == pytest.approx([math.log(4 / 3) + 1] * 2)


def test_pairs_are_the_most_frequent_of_known_tokens() -> None:
    texts = ("a b", "a b", "b c", "x a")
    found = counted(texts).pairs({"a": 2, "b": 3, "c": 4}, max_size=2, min_count=1)
    assert found[0] == ((2, 3), (3, 4))


def test_specs_count_the_tokens_that_a_model_sees() -> None:
    spec = fit_text_spec(["a b c d", "a b", "a c d"], "word", max_length=2, min_count=1)
    assert spec.vocabulary == ("a", "b", "c")
    assert spec.idf == pytest.approx([1.0, math.log(4 / 3) + 1, math.log(2) + 1])
    assert spec.pairs == ((2, 3), (2, 4))
