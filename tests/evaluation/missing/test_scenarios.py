"""Which subsets are looked at, and what rows lose at a rate."""

from __future__ import annotations

import pytest
import torch

from jlrun.evaluation.missing.scenarios import at_rate, only, subset_name, subsets

ALL = slice(0, 4000)


def test_every_subset_of_up_to_four_modalities() -> None:
    assert subsets("ab") == [("a",), ("b",), ("a", "b")]
    assert len(subsets("abc")) == 7
    assert len(set(subsets("abcd"))) == 15
    assert subsets("abcd")[-1] == ("a", "b", "c", "d")


def test_each_alone_and_all_but_each_of_more() -> None:
    found = subsets("abcde")
    assert [len(subset) for subset in found] == [1] * 5 + [4] * 5 + [5]
    assert subset_name(found[5]) == "a+b+c+d"


def test_a_subset_leaves_nothing_that_rows_did_not_have() -> None:
    has = torch.tensor([[True, True, False], [False, True, True], [False, False, True]])
    left = only(("a", "b"), "abc")(has, slice(0, 3))
    assert left.tolist() == [[True, True, False], [False, True, False], [False, False, False]]


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9])
def test_rows_lose_at_the_rate_and_never_all(rate: float) -> None:
    has = torch.ones(4000, 2, dtype=torch.bool)
    left = at_rate(rate, 0, 4000, "ab")(has, ALL)
    assert left.any(dim=1).all()
    lost = 1 - left.float().mean().item()
    assert lost == pytest.approx(rate - rate**2 / 2, abs=0.02)


def test_what_a_row_loses_depends_on_seed_and_place_not_on_its_batch() -> None:
    has = torch.ones(40, 3, dtype=torch.bool)
    whole = at_rate(0.5, 1, 40, "abc")(has, slice(0, 40))
    again = at_rate(0.5, 1, 40, "abc")
    parts = [again(has[s], s) for s in (slice(0, 7), slice(7, 30), slice(30, 40))]
    assert torch.cat(parts).equal(whole)
    assert not at_rate(0.5, 2, 40, "abc")(has, slice(0, 40)).equal(whole)
