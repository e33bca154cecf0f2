"""From texts to token ids: words, punctuation, characters or subwords, and their vocabulary."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from itertools import islice
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from jlrun.data.reading.document_frequencies import DocumentFrequencies
from jlrun.data.reading.subwords import joined, subword_splitter, train_subwords
from jlrun.data.specs import TextSpec, Unit
from jlrun.errors import UserError
from jlrun.extras import import_extra
from jlrun.ranges import PositiveInt

# Scripts without blanks between words: Thai and Lao, Burmese, Khmer, then Japanese and Chinese.
_NO_BLANKS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_NO_BLANKS += "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Words with their apostrophes and numbers with their digits; any other sign stands alone, as does
# each character of those scripts.
_TOKEN = re.compile(rf"[{_NO_BLANKS}]|[^\W{_NO_BLANKS}]+(?:['’][^\W{_NO_BLANKS}]+)*|[^\w\s]")
_TEXTS_AT_ONCE = 1024

# texts -> the tokens of each
Split = Callable[[Sequence[str]], Iterable[Sequence[str]]]


class Tokenizer:
    """Tokenizer of a spec: turns texts into ids, many at once faster than one by one.

    Args:
        spec: of the texts.

    Raises:
        UserError: if the Hugging Face tokenizer of a subword spec is not available.
    """

    def __init__(self, spec: TextSpec) -> None:
        self._length = spec.length
        self._ids = {token: i for i, token in enumerate(spec.vocabulary, start=2)}
        self._split = _splitter(spec.unit, spec.trained or spec.tokenizer)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Return int64 ``(N, length)``: 1 for an unknown token, 0 for padding at the end."""
        ids, known = np.zeros((len(texts), self._length), np.int64), self._ids
        for row, tokens in zip(ids, self._split(texts), strict=True):
            found = [known.get(token, 1) for token in islice(tokens, self._length)]
            row[: len(found)] = found
        return torch.from_numpy(ids)


def tokenize(texts: Sequence[str], spec: TextSpec) -> Tensor:
    """Return the ids ``(N, length)`` of texts; see `Tokenizer`, which serves many batches."""
    return Tokenizer(spec)(texts)


def fit_text_spec(
    texts: Iterable[str],
    tokenizer: str = "token",
    max_length: PositiveInt = 128,
    max_size: PositiveInt = 20_000,
    min_count: PositiveInt = 2,
    every: int = 1,
) -> TextSpec:
    """Return the spec of texts, with vocabulary and document frequencies of the training texts.

    The vocabulary has the most frequent tokens, by falling frequency and then by their characters.
    Tokens that occur less than ``min_count`` times map to the unknown token, so that it is trained
    too. Pairs of neighbours are kept alike, by the number of texts that contain them.

    Args:
        texts: of the training rows that have one; iterated once, and again where subwords are
            trained.
        tokenizer: ``token`` (words and punctuation marks in lower case; single characters in
            scripts without blanks between words), ``word`` (separated by spaces, in lower case),
            ``character``, ``bpe`` or ``wordpiece`` (subwords, trained on the texts), or the folder
            or name of a Hugging Face tokenizer, whose whole vocabulary is taken.
        max_length: largest number of tokens in a text; fewer if all training texts are shorter.
        max_size: largest number of tokens in the vocabulary, and of pairs.
        min_count: smallest number of occurrences of a token in the vocabulary, and of texts with a
            pair.
        every: distance of the texts that document frequencies are measured on, so that a sample of
            many is spread over all of them.

    Raises:
        UserError: if the Hugging Face tokenizer, or the library that trains one, is not available.
    """
    unit: Unit = "subword"
    for known in get_args(Unit):
        unit = known if known == tokenizer else unit
    source = tokenizer if unit == "subword" else None
    trained, subwords = None, ()
    if unit == "bpe" or unit == "wordpiece":
        trained, subwords = train_subwords(unit, texts, max_size, min_count)
    elif source is not None:
        subwords = _subwords(source)
    documents = DocumentFrequencies(every)
    counts, longest = _count(texts, _splitter(unit, trained or source), max_length, documents)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    frequent = tuple(token for token, count in ranked[:max_size] if count >= min_count)
    vocabulary = subwords or frequent
    ids = {token: i for i, token in enumerate(vocabulary, start=2)}
    pairs, pair_idf = documents.pairs(ids, max_size, min_count)
    idf = documents.idf(vocabulary)
    return TextSpec(vocabulary, max(1, longest), unit, source, idf, pairs, pair_idf, trained)


def text_of(ids: Tensor, spec: TextSpec) -> str:
    """Return the text of ids ``(T,)``; unknown tokens are ``?``."""
    tokens = [spec.vocabulary[i - 2] if i > 1 else "?" for i in ids.tolist() if i]
    if spec.trained is not None:
        return joined(tokens)
    return ("" if spec.unit == "character" else " ").join(tokens)


def _count(
    texts: Iterable[str], split: Split, max_length: int, documents: DocumentFrequencies
) -> tuple[Counter[str], int]:
    """Return counts of tokens, and the length of the longest text up to the limit.

    Texts are added to ``documents``.
    """
    counts: Counter[str] = Counter()
    longest, source = 0, iter(texts)
    while some := list(islice(source, _TEXTS_AT_ONCE)):
        for tokens in split(some):
            read = list(islice(tokens, max_length))
            counts.update(read)
            documents.add(read)
            longest = max(longest, len(read))
    return counts, longest


def tokens_of(text: str) -> list[str]:
    """Return lower-case words, punctuation marks, and characters of scripts without blanks."""
    return _TOKEN.findall(text.lower())


def _splitter(unit: Unit, tokenizer: str | None) -> Split:
    match unit:
        case "word":
            return lambda texts: (text.lower().split() for text in texts)
        case "token":
            return lambda texts: map(tokens_of, texts)
        case "character":
            return lambda texts: texts
        case "subword":
            assert tokenizer is not None, "subwords are those of a tokenizer"
            return partial(_split_subwords, tokenizer)
        case "bpe" | "wordpiece":
            assert tokenizer is not None, "subwords are those of a trained tokenizer"
            return subword_splitter(tokenizer)


def _split_subwords(name: str, texts: Sequence[str]) -> Iterable[Sequence[str]]:
    if not texts:
        return []
    tokenizer = load_tokenizer(name)
    found = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    return map(tokenizer.convert_ids_to_tokens, found)


def _subwords(name: str) -> tuple[str, ...]:
    """Return the tokens of a tokenizer in the order of their ids, without padding and unknown."""
    tokenizer = load_tokenizer(name)
    tokens = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    special = {tokenizer.pad_token, tokenizer.unk_token}
    return tuple(token for token, _ in tokens if token not in special)


EXTRA = "huggingface"


@lru_cache(maxsize=8)
def load_tokenizer(name: str, where: str = "tokenizer") -> Any:
    """Return the tokenizer of a local folder, or the published one of that name.

    A published one is downloaded once. Its code is never run.

    Args:
        name: such as ``bert-base-uncased``, or a folder with ``tokenizer.json``.
        where: config path, for errors.

    Raises:
        UserError: if transformers is not installed, or there is no such tokenizer.
    """
    transformers = import_extra("transformers", EXTRA, where)
    try:
        return transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise UserError.of(
            where,
            f"'{name}' is neither a folder with a Hugging Face tokenizer nor the name of an "
            f"available one ({first_sentence(error)})",
        ) from error


def first_sentence(error: Exception) -> str:
    """Return the beginning of an error of another library, on one line."""
    return " ".join(str(error).split()).partition(". ")[0][:200]


def special_tokens(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the ids that a tokenizer adds before and after a text."""
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    start = next(i for i in range(len(whole)) if whole[i : i + len(plain)] == plain)
    return tuple(whole[:start]), tuple(whole[start + len(plain) :])
