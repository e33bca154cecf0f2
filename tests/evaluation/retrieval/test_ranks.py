"""Ranks and recalls: against a plain loop, and at their limits."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.evaluation.retrieval.embedded import Embedded
from jlrun.evaluation.retrieval.ranks import best_ranks, nearest, recall_between, recall_scores


def drawn(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    x = torch.randn(2, count, 4, generator=torch.Generator().manual_seed(seed))
    return F.normalize(x[0], dim=1), F.normalize(x[1] + x[0], dim=1)


def looped(queries: Tensor, candidates: Tensor, keys: list[int]) -> list[int]:
    """Sort, and look for the first right answer."""
    found = []
    for i, query in enumerate(queries.tolist()):
        scores = [sum(a * b for a, b in zip(query, c, strict=True)) for c in candidates.tolist()]
        order = sorted(range(len(scores)), key=lambda j: -scores[j])
        right = [j == i or (keys[i] >= 0 and keys[j] == keys[i]) for j in order]
        found.append(right.index(True) + 1)
    return found


@pytest.mark.parametrize(
    "keys", [[-1] * 40, [i % 7 for i in range(40)], [-1 if i % 3 else 5 for i in range(40)]]
)
def test_ranks_are_those_of_a_plain_loop(keys: list[int]) -> None:
    x, y = drawn(40)
    assert best_ranks(x, y, torch.tensor(keys)).tolist() == looped(x, y, keys)


def test_recalls_and_median_are_those_of_the_ranks() -> None:
    x, y = drawn(50)
    keys = torch.full((50,), -1)
    ranks = sorted(looped(x, y, keys.tolist()))
    scores = recall_scores(x, y, keys)
    for k in (1, 5, 10):
        assert scores[f"recall_at_{k}"] == pytest.approx(sum(r <= k for r in ranks) / 50)
    assert scores["median_rank"] == ranks[24]
    assert scores["chance_at_1"] == pytest.approx(1 / 50)


def test_many_rows_are_looked_at_in_parts() -> None:
    x, y = drawn(1500)
    keys = torch.arange(1500) % 300
    whole = best_ranks(x, y, keys)
    assert whole[1100:1105].tolist() == looped(x, y, keys.tolist())[1100:1105]


def test_a_collapsed_space_finds_nothing() -> None:
    same = torch.ones(20, 4) / 2
    scores = recall_scores(same, same, torch.full((20,), -1))
    assert scores["recall_at_1"] == 0
    assert scores["median_rank"] == 20


def test_chance_counts_all_right_answers() -> None:
    """Of two classes of 2 and 3 rows, 13 of 25 pairs are right; a row for itself has 1 of 6."""
    x, y = drawn(6)
    keys = torch.tensor([0, 0, 1, 1, 1, -1])
    assert recall_scores(x, y, keys)["chance_at_1"] == pytest.approx((4 + 9 + 1) / 36)


def test_chance_is_what_random_vectors_score() -> None:
    generator = torch.Generator().manual_seed(0)
    keys = torch.arange(400) % 10
    x, y = F.normalize(torch.randn(2, 400, 64, generator=generator), dim=2)
    scores = recall_scores(x, y, keys)
    assert scores["recall_at_1"] == pytest.approx(scores["chance_at_1"], abs=0.05)


def test_rows_that_lack_one_of_two_are_no_candidates() -> None:
    x, y = drawn(6)
    present = {"image": torch.ones(6).bool(), "text": torch.tensor([1, 1, 0, 1, 0, 1]).bool()}
    keys = torch.full((6,), -1)
    rows = Embedded({"image": x, "text": y}, present, {}, keys)
    kept = [0, 1, 3, 5]
    found = recall_between(rows, "image", "text")
    assert found == {
        "image to text": recall_scores(x[kept], y[kept], keys[kept]),
        "text to image": recall_scores(y[kept], x[kept], keys[kept]),
    }
    nobody = {"image": present["image"], "text": torch.zeros(6).bool()}
    assert recall_between(Embedded(rows.vectors, nobody, {}, keys), "image", "text") == {}


def test_nearest_are_the_largest_cosines() -> None:
    x, y = drawn(9)
    keys = torch.tensor([0, 0, 0, 1, 1, 1, -1, -1, -1])
    found, right = nearest(x, y, keys, torch.tensor([2, 7]), 3)
    for row, i in enumerate((2, 7)):
        assert found[row].tolist() == (x[i] @ y.T).argsort(descending=True)[:3].tolist()
        expected = [j == i or (keys[i] >= 0 and bool(keys[j] == keys[i])) for j in found[row]]
        assert right[row].tolist() == expected


def test_equal_candidates_count_alike_wherever_they_stand() -> None:
    x = F.normalize(torch.randn(7, 300, generator=torch.Generator().manual_seed(0)), dim=1)
    rows, keys = x.repeat(5, 1), torch.full((35,), -1)
    for seed in range(3):
        order = torch.randperm(35, generator=torch.Generator().manual_seed(seed))
        assert best_ranks(rows[order], rows[order], keys).tolist() == [5] * 35


def test_the_median_rank_of_an_even_number_is_between_both() -> None:
    x, keys = torch.eye(4), torch.full((4,), -1)
    y = x[[0, 1, 3, 2]]
    assert best_ranks(x, y, keys).tolist() == [1, 1, 4, 4]
    assert recall_scores(x, y, keys)["median_rank"] == 2.5
