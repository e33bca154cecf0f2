"""Texts to ids: how they are divided, and the vocabulary that training texts give."""

from __future__ import annotations

import pytest
import torch

from jlrun.data.reading.texts import Tokenizer, fit_text_spec, text_of, tokenize
from jlrun.data.specs import TextSpec, spec_from_json, spec_to_json

TEXTS = ["The cat, the DOG.", "the cat sat", "a dog's cat"]


def test_tokens_are_words_and_punctuation_in_lower_case() -> None:
    spec = fit_text_spec(["Don't stop: it's 3,5 €! naïve_x"], "token", min_count=1)
    signs = ["don't", "stop", ":", "it's", "3", ",", "5", "€", "!", "naïve_x"]
    assert sorted(spec.vocabulary) == sorted(signs)
    assert (spec.length, spec.unit) == (len(signs), "token")


def test_the_vocabulary_is_ordered_by_frequency_then_by_characters() -> None:
    spec = fit_text_spec(TEXTS, min_count=1)
    assert spec.vocabulary == ("cat", "the", ",", ".", "a", "dog", "dog's", "sat")
    assert fit_text_spec(TEXTS).vocabulary == ("cat", "the")  # at least twice
    assert fit_text_spec(TEXTS, min_count=1, max_size=3).vocabulary == ("cat", "the", ",")


def test_the_length_is_that_of_the_longest_text_up_to_a_limit() -> None:
    assert fit_text_spec(TEXTS).length == 6
    assert fit_text_spec(TEXTS, max_length=2).length == 2
    assert fit_text_spec([]).length == fit_text_spec([""]).length == 1


def test_tokens_beyond_the_limit_are_not_counted() -> None:
    assert fit_text_spec(["a b", "c b"], max_length=1, min_count=1).vocabulary == ("a", "c")


def test_unknown_tokens_are_1_and_padding_is_0() -> None:
    spec = TextSpec(("cat", "the"), 4, "token")
    ids = tokenize(["The bird the cat cat", "", "CAT"], spec)
    assert ids.dtype == torch.int64
    assert ids.tolist() == [[3, 1, 3, 2], [0, 0, 0, 0], [2, 0, 0, 0]]
    assert tokenize([], spec).shape == (0, 4)


@pytest.mark.parametrize(
    ("unit", "expected"), [("word", ["a-b", "c."]), ("character", list("A-b c."))]
)
def test_other_units(unit: str, expected: list[str]) -> None:
    spec = fit_text_spec(["A-b c."], unit, min_count=1)
    assert sorted(spec.vocabulary) == sorted(set(expected))
    assert spec.length == len(expected)
    assert spec.unit == unit


def test_known_text_can_be_read_again() -> None:
    for unit in ("token", "character"):
        spec = fit_text_spec(["the cat , sat"], unit, min_count=1)
        assert text_of(tokenize(["the cat , sat"], spec)[0], spec) == "the cat , sat"
    assert text_of(torch.tensor([2, 1, 0]), TextSpec(("cat",), 3)) == "cat ?"


def test_one_tokenizer_serves_many_batches() -> None:
    spec = fit_text_spec(TEXTS, min_count=1)
    tokenizer = Tokenizer(spec)
    whole = tokenizer(TEXTS)
    assert torch.cat([tokenizer([text]) for text in TEXTS]).equal(whole)


def test_the_spec_survives_json() -> None:
    spec = fit_text_spec(TEXTS)
    assert spec_from_json(spec_to_json(spec)) == spec


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("这件衣服 很好 XL码", ["这", "件", "衣", "服", "很", "好", "xl", "码"]),
        ("とてもよい", list("とてもよい")),
        ("ดีมาก", list("ดีมาก")),
        ("정말 좋아요", ["정말", "좋아요"]),  # written with blanks
    ],
)
def test_scripts_without_blanks_are_split_into_characters(text: str, tokens: list[str]) -> None:
    spec = fit_text_spec([text], min_count=1)
    assert text_of(tokenize([text], spec)[0], spec).split(" ") == tokens
