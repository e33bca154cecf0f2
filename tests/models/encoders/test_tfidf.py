"""TF-IDF weights of texts, against scikit-learn's."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import Tensor

from jlrun.data.reading.texts import fit_text_spec, tokenize
from jlrun.data.specs import TextSpec
from jlrun.models.encoders import TfIdf

TEXTS = ["the cat sat on the mat", "the dog sat", "a cat and a dog sat on the cat", "the cat"]
NEW = ["the cat sat on the cat the cat sat", "a bird sat", "unheard of", ""]


def inputs_of(encoder: TfIdf, spec: TextSpec, texts: list[str]) -> Tensor:
    """Return what the hidden layer sees, ``(B, F)``: the features of a layer of unit vectors."""
    features, weights = encoder._weighted(tokenize(texts, spec))
    dense = torch.zeros(len(texts), encoder.none + 1)
    return dense.scatter_add_(1, features, weights)[:, :-1]


def test_weights_are_those_of_scikit_learn() -> None:
    spec = fit_text_spec(TEXTS, "word", max_length=20)
    words = TfidfVectorizer(analyzer=_known_words, sublinear_tf=True)
    theirs = words.fit(TEXTS).transform(NEW).toarray()
    encoder = TfIdf(spec)
    names = [
        *spec.vocabulary,
        *(f"{spec.vocabulary[a - 2]} {spec.vocabulary[b - 2]}" for a, b in spec.pairs),
    ]
    assert sorted(names) == sorted(words.vocabulary_)
    ours = inputs_of(encoder, spec, NEW).numpy()
    order = [words.vocabulary_[name] for name in names]
    np.testing.assert_allclose(ours, theirs[:, order], atol=1e-6)


def _known_words(text: str) -> list[str]:
    """Return words that occur at least twice in `TEXTS`, and pairs in at least two of them."""
    tokens = text.split()
    every = " ".join(TEXTS).split()
    words = [token for token in tokens if every.count(token) >= 2]
    pairs = [f"{a} {b}" for a, b in itertools.pairwise(tokens)]
    return words + [pair for pair in pairs if sum(pair in _pairs(t) for t in TEXTS) >= 2]


def _pairs(text: str) -> list[str]:
    tokens = text.split()
    return [f"{a} {b}" for a, b in itertools.pairwise(tokens)]


def test_features_are_one_layer_on_the_weights() -> None:
    spec = fit_text_spec(TEXTS, "word", max_length=20)
    encoder = TfIdf(spec, width=8).eval()
    inputs = inputs_of(encoder, spec, NEW)
    weights = encoder.factor[:-1, None] * encoder.layer.weight[:-1]
    wanted = torch.relu(inputs @ weights + encoder.bias)
    torch.testing.assert_close(encoder(tokenize(NEW, spec)), wanted)


def test_order_counts_by_pairs_alone() -> None:
    texts = ["not good", "good not", "not good", "good not"]
    encoder = TfIdf(spec := fit_text_spec(texts), width=8).eval()
    one, two = encoder(tokenize(texts[:2], spec))
    assert not torch.allclose(one, two)
    alone = TfIdf(TextSpec(spec.vocabulary, spec.length, spec.unit, idf=spec.idf), width=8).eval()
    one, two = alone(tokenize(texts[:2], spec))
    torch.testing.assert_close(one, two)


def test_weights_of_rare_words_move_less() -> None:
    """By the root of the share of texts; here 4 of 4 and, of "mat", 1 of 4, smoothed."""
    spec = TextSpec(("the", "mat"), 3, idf=(1.0, math.log(5 / 2) + 1))
    often, rarely, none = TfIdf(spec).factor.tolist()
    assert rarely / often == pytest.approx((2 / 5) ** 0.5)
    assert none == 0


@pytest.mark.parametrize("text", ["", "unheard"])
def test_a_text_without_known_words_has_the_features_of_zeros(text: str) -> None:
    encoder = TfIdf(spec := fit_text_spec(TEXTS), width=4).eval()
    torch.nn.init.constant_(encoder.bias, 2.0)
    assert encoder(tokenize([text], spec)).tolist() == [[2.0] * 4]
