"""Shapley values against closed forms, the mean over all orders, and their axioms."""

from __future__ import annotations

import random
from collections.abc import Mapping
from itertools import chain, combinations, permutations

import pytest

from jlrun.evaluation.missing.contribution import Coalition, contribution, shapley


def all_sets(names: str) -> list[Coalition]:
    sizes = range(len(names) + 1)
    return [frozenset(s) for s in chain.from_iterable(combinations(names, k) for k in sizes)]


def random_game(names: str) -> dict[Coalition, float]:
    draw = random.Random(0)
    return {s: draw.random() for s in all_sets(names)}


def pairs_game(names: str) -> dict[Coalition, float]:
    """v(S) = 0.1 + Σ a_i + Σ b_ij: only pairs interact."""
    draw = random.Random(1)
    a = {i: draw.random() for i in names}
    b = {pair: draw.random() - 0.5 for pair in combinations(names, 2)}
    return {
        s: 0.1 + sum(a[i] for i in s) + sum(v for p, v in b.items() if s >= set(p))
        for s in all_sets(names)
    }


def over_orders(names: str, v: Mapping[Coalition, float]) -> dict[str, float]:
    """The definition: the mean over all orders of what each adds to those before it."""
    orders = list(permutations(names))
    total = dict.fromkeys(names, 0.0)
    for order in orders:
        for i, name in enumerate(order):
            before = frozenset(order[:i])
            total[name] += v[before | {name}] - v[before]
    return {name: value / len(orders) for name, value in total.items()}


def known(names: str, v: Mapping[Coalition, float]) -> dict[Coalition, float]:
    """What is looked at of more than four modalities."""
    sizes = {0, 1, len(names) - 1, len(names)}
    return {s: value for s, value in v.items() if len(s) in sizes}


def test_in_an_additive_game_each_gets_what_it_adds() -> None:
    worth = {"a": 0.3, "b": -0.1, "c": 0.05}
    v = {s: 0.2 + sum(worth[m] for m in s) for s in all_sets("abc")}
    phi, exact = shapley("abc", v)
    assert exact
    assert phi == pytest.approx(worth)
    assert contribution("abc", v).ablation == pytest.approx(worth)


@pytest.mark.parametrize("names", ["ab", "abc", "abcd"])
def test_the_mean_over_all_orders(names: str) -> None:
    v = random_game(names)
    assert shapley(names, v)[0] == pytest.approx(over_orders(names, v))


def test_two_that_only_help_together_share_it_and_a_third_gets_nothing() -> None:
    v = {s: float({"a", "b"} <= s) for s in all_sets("abc")}
    assert shapley("abc", v)[0] == pytest.approx({"a": 0.5, "b": 0.5, "c": 0.0})


@pytest.mark.parametrize("names", ["ab", "abcd", "abcdef"])
def test_contributions_add_up_to_what_all_have_over_none(names: str) -> None:
    v = random_game(names)
    for game in (v, known(names, v)):
        phi, _ = shapley(names, game)
        assert sum(phi.values()) == pytest.approx(v[frozenset(names)] - v[frozenset()])


def test_without_all_sets_the_values_are_those_of_games_of_pairs() -> None:
    v = pairs_game("abcde")
    phi, exact = shapley("abcde", known("abcde", v))
    assert not exact
    assert phi == pytest.approx(over_orders("abcde", v))


def test_a_contribution_says_what_it_is_made_of() -> None:
    v = random_game("ab")
    found = contribution("ab", v)
    none, a, b, both = (v[frozenset(s)] for s in ("", "a", "b", "ab"))
    assert (found.nothing, found.everything) == (none, both)
    assert found.alone == {"a": a, "b": b}
    assert found.without == {"a": b, "b": a}
    assert found.ablation == pytest.approx({"a": both - b, "b": both - a})
