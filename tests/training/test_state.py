"""Which of two epochs is better."""

import math

from jlrun.training.state import Best


def best(score: float, loss: float) -> Best:
    return Best(score, loss, 1, 10, {})


def test_without_a_label_to_select_by_the_later_epoch_is_better() -> None:
    assert best(math.nan, math.nan).beaten_by(math.nan, math.nan)
    assert not best(0.5, 1.0).beaten_by(math.nan, math.nan)
    assert best(math.nan, 1.0).beaten_by(math.nan, 0.5)
    assert not best(math.nan, 1.0).beaten_by(math.nan, 1.0)


def test_a_larger_score_is_better_and_of_equal_ones_the_smaller_loss() -> None:
    assert best(0.5, 1.0).beaten_by(0.6, 2.0)
    assert best(0.5, 1.0).beaten_by(0.5, 0.9)
    assert not best(0.5, 1.0).beaten_by(0.5, 1.0)
