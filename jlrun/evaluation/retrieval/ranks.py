"""Cross-modal retrieval: ranks of the matching row among all rows."""

# N rows, both queries and candidates;  P width of the space

from __future__ import annotations

import torch
from torch import Tensor

from jlrun.data.positives import positives
from jlrun.evaluation.retrieval.embedded import Embedded
from jlrun.tasks.metrics.ranks import median

RECALLS = (1, 5, 10)
RECALL = "retrieval/val/recall_at_1"  # tag of the mean on validation rows
_AT_ONCE = 1024
_EQUAL = 1e-12  # cosines of equal vectors differ in their last digits by where they stand


def best_ranks(queries: Tensor, candidates: Tensor, keys: Tensor) -> Tensor:
    """Return for each query the rank of its first right answer, int64 ``(N,)``, from 1.

    Right are the candidate of the same row and those of its positives. A wrong candidate that
    is as near as the best right one counts as before it: a space in which all is the same finds
    nothing.

    Args:
        queries, candidates: ``(N, P)``, of length 1, row by row of the same things.
        keys: int64 ``(N,)``, equal for rows that are positives.
    """
    found = []
    for rows in torch.arange(len(queries)).split(_AT_ONCE):
        similarity, right = _compared(queries, candidates, keys, rows)
        best = similarity.masked_fill(~right, -torch.inf).amax(dim=1, keepdim=True)
        found.append(1 + ((similarity >= best - _EQUAL) & ~right).sum(dim=1))
    return torch.cat(found)


def _compared(
    queries: Tensor, candidates: Tensor, keys: Tensor, rows: Tensor
) -> tuple[Tensor, Tensor]:
    """Return cosines and which answers are right, ``(M, N)`` each, of the queries at ``rows``."""
    right = positives(keys[rows], keys)
    right[torch.arange(len(rows)), rows] = True
    return queries[rows].double() @ candidates.double().T, right


def recall_scores(queries: Tensor, candidates: Tensor, keys: Tensor) -> dict[str, float]:
    """Return recall at 1, 5 and 10, the median rank, and what chance would have at 1.

    Args as in `best_ranks`; N at least 1.
    """
    ranks = best_ranks(queries, candidates, keys)
    scores = {f"recall_at_{k}": float((ranks <= k).double().mean()) for k in RECALLS}
    return {**scores, "median_rank": median(ranks), "chance_at_1": _chance(keys)}


def recall_between(rows: Embedded, one: str, other: str) -> dict[str, dict[str, float]]:
    """Return ``<one> to <other>`` and back -> scores, among the rows that have both.

    Empty if there are fewer than two.
    """
    both = rows.present[one] & rows.present[other]
    if int(both.sum()) < 2:
        return {}
    a, b, keys = rows.vectors[one][both], rows.vectors[other][both], rows.keys[both]
    return {
        f"{one} to {other}": recall_scores(a, b, keys),
        f"{other} to {one}": recall_scores(b, a, keys),
    }


def nearest(
    queries: Tensor, candidates: Tensor, keys: Tensor, rows: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Return the nearest candidates of the queries at ``rows``, and which of them are right.

    Returns:
        positions int64 ``(M, count)``, the nearest first, and Bool ``(M, count)``.
    """
    similarity, right = _compared(queries, candidates, keys, rows)
    found = similarity.topk(min(count, len(candidates)), dim=1).indices
    return found, right.gather(1, found)


def _chance(keys: Tensor) -> float:
    """Return the share of candidates that are right, in the mean over queries."""
    known = keys[keys >= 0]
    counts = known.unique(return_counts=True)[1].double()
    return float((counts.square().sum() + (keys < 0).sum()) / len(keys) ** 2)
