"""Subword tokenizers that are trained on the training texts, by the library ``tokenizers``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal

from jlrun.extras import import_extra

TrainedUnit = Literal["bpe", "wordpiece"]
_EXTRA, _WHERE = "tokenizers", "dataset.text.tokenizer"
_START, _INSIDE, UNKNOWN = "▁", "##", "[UNK]"  # of words, within words, of unknown characters


def train_subwords(
    unit: TrainedUnit, texts: Iterable[str], max_size: int, min_count: int
) -> tuple[str, tuple[str, ...]]:
    """Return a trained tokenizer as JSON, and its vocabulary without the unknown token.

    ``bpe`` merges the most frequent pair of neighbours until the vocabulary is full (Sennrich et
    al., "Neural Machine Translation of Rare Words with Subword Units", ACL 2016). ``wordpiece``
    takes the longest known beginning of what is left of a word (Wu et al., 2016), from the
    vocabulary of that training: the library's own trainer of WordPiece depends on the order of a
    hash table, and so would not give the same tokens when a run is resumed. Texts are in lower
    case, in Unicode's form NFKC; no subword goes across a blank or a punctuation mark.

    Args:
        unit: kind of subwords.
        texts: of the training rows.
        max_size: largest number of subwords.
        min_count: smallest number of occurrences of a pair that is merged.

    Raises:
        UserError: if the library is not installed.
    """
    lib = import_extra("tokenizers", _EXTRA, _WHERE)
    found = _empty(lib, lib.models.BPE(unk_token=UNKNOWN))
    trainer = lib.trainers.BpeTrainer(
        vocab_size=max_size + 1,
        min_frequency=min_count,
        special_tokens=[UNKNOWN],
        show_progress=False,
    )
    found.train_from_iterator(texts, trainer)
    tokens = _in_order(found)
    if unit == "wordpiece":
        pieces = list(dict.fromkeys(piece for token in tokens for piece in _pieces(token)))
        tokens = pieces[:max_size]
        ids = {token: i for i, token in enumerate([UNKNOWN, *tokens])}
        found = _empty(lib, lib.models.WordPiece(ids, unk_token=UNKNOWN))
        found.pre_tokenizer = lib.pre_tokenizers.Sequence(
            [lib.pre_tokenizers.WhitespaceSplit(), lib.pre_tokenizers.Punctuation()]
        )
    return json.dumps(json.loads(found.to_str()), ensure_ascii=False), tuple(tokens)


def subword_splitter(trained: str) -> Callable[[Sequence[str]], Iterator[Sequence[str]]]:
    """Return what splits texts into the subwords of a trained tokenizer.

    Raises:
        UserError: if the library is not installed.
    """
    tokenizer = _loaded(trained)

    def split(texts: Sequence[str]) -> Iterator[Sequence[str]]:
        return (found.tokens for found in tokenizer.encode_batch(list(texts)))

    return split


def joined(tokens: Sequence[str]) -> str:
    """Return the text of subwords."""
    if any(token.startswith(_START) for token in tokens):
        return "".join(tokens).replace(_START, " ").strip()
    return " ".join(tokens).replace(f" {_INSIDE}", "")


def _empty(lib: Any, model: Any) -> Any:
    found = lib.Tokenizer(model)
    blanks = lib.normalizers.Replace(lib.Regex(r"\s+"), " ")
    found.normalizer = lib.normalizers.Sequence(
        [lib.normalizers.NFKC(), lib.normalizers.Lowercase(), blanks]
    )
    found.pre_tokenizer = lib.pre_tokenizers.Sequence(
        [lib.pre_tokenizers.Metaspace(), lib.pre_tokenizers.Punctuation()]
    )
    return found


def _in_order(tokenizer: Any) -> list[str]:
    """Return the vocabulary by ids, that is by the order of merges, without the unknown token."""
    ids = tokenizer.get_vocab()
    return [token for token in sorted(ids, key=ids.__getitem__) if token != UNKNOWN]


def _pieces(token: str) -> Iterator[str]:
    """Yield a token of BPE as WordPiece writes it; a character may begin a word or not."""
    if token == _START:
        return
    if token.startswith(_START):
        yield token.removeprefix(_START)
    else:
        yield f"{_INSIDE}{token}"
        if len(token) == 1:
            yield token


@lru_cache(maxsize=8)
def _loaded(trained: str) -> Any:
    return import_extra("tokenizers", _EXTRA, _WHERE).Tokenizer.from_str(trained)
