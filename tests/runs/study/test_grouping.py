"""Which tasks to learn together."""

import pytest

from jlrun.runs.study.grouping import best_grouping, divisions

BELL = [1, 1, 2, 5, 15, 52]


@pytest.mark.parametrize("count", range(6))
def test_divisions_are_all_there(count):
    found = {frozenset(map(frozenset, g)) for g in divisions(tuple("abcde"[:count]))}
    assert len(found) == BELL[count]


def _gains(**gains):
    return {(name[0], name[1]): value for name, value in gains.items()}


def test_two_that_help_and_one_that_hurts():
    gains = _gains(ab=4.0, ba=2.0, ac=-5.0, ca=-1.0, bc=-3.0, cb=-2.0)
    one, two = (best_grouping("abc", gains, models) for models in (1, 2))
    assert one is not None
    assert two is not None
    assert one.groups == (("a", "b", "c"),)
    # a with b and c: mean of its gains with each; likewise b and c
    assert one.gain == pytest.approx(((2 - 1) / 2 + (4 - 2) / 2 + (-5 - 3) / 2) / 3)
    assert two.groups == (("a", "b"), ("c",))
    assert two.gain == pytest.approx((2 + 4 + 0) / 3)


def test_where_nothing_helps_one_model_is_as_good_as_several():
    gains = {(a, b): 0.0 for a in "abc" for b in "abc" if a != b}
    found = best_grouping("abc", gains, 3)
    assert found is not None
    assert found.groups == (("a", "b", "c"),)


def test_a_pair_that_was_not_trained_leaves_it_open():
    assert best_grouping("abc", _gains(ab=1.0), 2) is None
