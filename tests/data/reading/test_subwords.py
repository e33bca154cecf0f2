"""Subwords that are trained on the texts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jlrun.data.reading.subwords import train_subwords
from jlrun.data.reading.texts import fit_text_spec, text_of, tokenize
from jlrun.errors import UserError

TEXTS = ["low low low low low", "lower lower", "newest " * 6, "widest widest widest"]


def test_merges_are_those_of_the_paper() -> None:
    """Sennrich et al. (2016), figure 1: e s, es t, l o, lo w come first."""
    pytest.importorskip("tokenizers")
    spec = fit_text_spec(TEXTS, "bpe", max_size=24)
    assert spec.unit == "bpe"
    assert len(spec.vocabulary) == 24
    merged = [token for token in spec.vocabulary if len(token.strip("▁")) > 1]
    assert merged.index("es") < merged.index("est")
    assert {"est", "low"} <= {token.strip("▁") for token in merged}


@pytest.mark.parametrize("unit", ["bpe", "wordpiece"])
def test_texts_come_back_from_their_subwords(unit: str) -> None:
    pytest.importorskip("tokenizers")
    spec = fit_text_spec(TEXTS, unit, max_size=40)
    ids = tokenize(["Lower widest", "z low", ""], spec)
    assert ids.shape == (3, spec.length)
    assert text_of(ids[0], spec) == "lower widest"  # an unseen pair, in lower case
    assert 1 in ids[1].tolist()  # a character that no text has
    assert not ids[2].any()
    whole = fit_text_spec(["lower.\nLower. lower.\tnewest"], unit, max_size=10**4)
    assert int((tokenize(["lower"], whole) > 0).sum()) == 1
    assert not any("." in token and len(token) > 3 for token in whole.vocabulary)
    assert not any(token.strip(" #▁") == "" for token in whole.vocabulary if token != "▁")


@pytest.mark.parametrize("unit", ["bpe", "wordpiece"])
def test_another_process_trains_the_same(unit: str) -> None:
    """What a run is resumed with; the library's own trainer of WordPiece would fail."""
    pytest.importorskip("tokenizers")
    texts = [f"{a}{b}{c} {c}{a}" for a in "xyzuvw" for b in "abcde" for c in "fghij"]
    code = (
        "from jlrun.data.reading.subwords import train_subwords\n"
        f"print(train_subwords({unit!r}, {texts!r}, 90, 2)[0], end='')"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert other.stdout.decode("utf-8") == train_subwords(unit, texts, 90, 2)[0]


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UserError, match=r"dataset\.text\.tokenizer.*jlrun\[tokenizers\]"):
        fit_text_spec(TEXTS, "bpe")
