from __future__ import annotations

import pytest
import torch
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor

from jlrun.data.group_share import draw_groups


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def part(groups: Tensor, strata: Tensor, count: int, seed: int) -> Tensor:
    """Bool ``(N,)``: the rows drawn, of whole groups."""
    drawn = draw_groups(groups, strata, count, generator(seed))
    mask = torch.isin(torch.arange(len(groups)), drawn)
    assert not torch.isin(groups[mask], groups[~mask]).any()
    return mask


def test_a_class_of_two_groups_is_in_both_parts_and_that_of_one_in_the_larger() -> None:
    groups = torch.arange(200) // 10
    strata = torch.zeros(200, dtype=torch.long)
    strata[30:50] = 1  # groups 3 and 4
    strata[70:75] = 2  # half of group 7
    plainly_lost = 0
    for seed in range(20):
        test = part(groups, strata, 40, seed)
        assert strata[test].bincount(minlength=3)[1:].tolist() == [10, 0]
        assert int(test.sum()) in (30, 40, 50)
        order = torch.randperm(20, generator=generator(seed))[:4]  # what chance alone would test
        plainly_lost += not torch.isin(torch.tensor([3, 4]), order).any()
    assert plainly_lost > 5


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_as_even_as_those_of_scikit_learn(seed: int) -> None:
    groups = torch.randint(0, 40, (600,), generator=generator(seed))
    draws = torch.rand(600, generator=generator(seed + 100))
    strata = (draws < 0.1 + 0.8 * (groups % 7) / 7).long() + 2 * (groups % 10 == 0)

    def unevenness(test: Tensor) -> float:
        shares = strata[test].bincount(minlength=4) / strata.bincount()
        return float((shares - 0.2).square().mean() + (test.double().mean() - 0.2).square())

    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    theirs = [
        unevenness(torch.isin(torch.arange(600), torch.from_numpy(test)))
        for _, test in splitter.split(groups, strata, groups)
    ]
    assert unevenness(part(groups, strata, 120, seed)) <= sum(theirs) / len(theirs)


def test_draws_are_repeated_by_seed_and_neither_part_is_empty() -> None:
    groups, strata = torch.arange(60) // 3, torch.arange(60) % 2
    first, again, other = (part(groups, strata, 12, seed) for seed in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)
    assert int(first.sum()) == 12
    two = part(torch.tensor([0] * 99 + [1]), torch.zeros(100, dtype=torch.long), 50, 0)
    assert int(two.sum()) in (1, 99)
