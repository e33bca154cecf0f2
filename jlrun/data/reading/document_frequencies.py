"""Document frequencies of tokens and of pairs of neighbours, for TF-IDF weights."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

# Texts that are counted: memory stays bounded for large tables.
MOST_TEXTS = 20_000


class DocumentFrequencies:
    """Counts of the texts that contain a token, and of those that contain a pair of neighbours.

    At most 20,000 texts are counted.

    Args:
        every: distance of the texts that are counted.
    """

    def __init__(self, every: int = 1) -> None:
        self.num_texts = 0
        self._every, self._seen = every, 0
        self._tokens: Counter[str] = Counter()
        self._pairs: Counter[tuple[str, str]] = Counter()

    def add(self, tokens: Sequence[str]) -> None:
        """Count the tokens of one more text, if it is one of those that are counted."""
        self._seen += 1
        if self.num_texts == MOST_TEXTS or (self._seen - 1) % self._every:
            return
        self.num_texts += 1
        self._tokens.update(set(tokens))
        self._pairs.update(set(pairwise(tokens)))

    def idf(self, vocabulary: Sequence[str]) -> tuple[float, ...]:
        """Return the inverse document frequency of each token: ln ((1 + n) / (1 + df)) + 1."""
        return tuple(self._idf(self._tokens[token]) for token in vocabulary)

    def pairs(
        self, ids: Mapping[str, int], max_size: int, min_count: int
    ) -> tuple[tuple[tuple[int, int], ...], tuple[float, ...]]:
        """Return the most frequent pairs of known tokens by their ids, and the idf of each.

        Args:
            ids: token -> its id.
            max_size: largest number of pairs.
            min_count: smallest number of texts with a pair.
        """
        known = [
            (-count, ids[a], ids[b])
            for (a, b), count in self._pairs.items()
            if count >= min_count and a in ids and b in ids
        ]
        kept = sorted(known)[:max_size]
        return tuple((a, b) for _, a, b in kept), tuple(self._idf(-n) for n, _, _ in kept)

    def _idf(self, count: int) -> float:
        return math.log((1 + self.num_texts) / (1 + count)) + 1
