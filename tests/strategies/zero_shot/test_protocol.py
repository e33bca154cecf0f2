"""The scores of zero-shot learning, on tables computed by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jlrun.strategies.zero_shot import ClassSplit, Scored, best_bias, report
from jlrun.strategies.zero_shot.protocol import chance, harmonic_mean

SPLIT = ClassSplit(("a", "b", "c", "d"), seen=(0, 1), unseen=(2, 3))
# Columns a, b (seen), c, d (unseen). What leads: a by 2, a by 1, b by 3, a by 1, b by -1, a by 4.
SCORES = torch.tensor(
    [
        [5.0, 0.0, 3.0, 1.0],  # a: right while γ < 2
        [4.0, 1.0, 0.0, 3.0],  # a: right while γ < 1
        [0.0, 6.0, 3.0, 2.0],  # b: right while γ < 3
        [3.0, 0.0, 2.0, 1.0],  # c: right from γ = 1 on
        [0.0, 1.0, 2.0, 0.0],  # c: right from γ = -1 on
        [6.0, 0.0, 2.0, 1.0],  # d: never right, c is ahead
    ]
)
TARGET = torch.tensor([0, 0, 1, 2, 2, 3])
SCORED = Scored(SCORES, TARGET, SPLIT)


def test_zsl_accuracy_is_the_mean_over_unseen_classes_among_unseen_labels() -> None:
    # c: 2 of 2, d: 0 of 1
    assert SCORED.zsl_accuracy() == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("bias", "unseen", "seen"),
    [
        (-2.0, 0.0, 1.0),
        (0.0, (1 / 2 + 0) / 2, 1.0),
        (1.0, (1 + 0) / 2, (1 / 2 + 1) / 2),
        (2.5, (1 + 0) / 2, (0 + 1) / 2),
        (9.0, (1 + 0) / 2, 0.0),
    ],
)
def test_generalised_accuracies_by_hand(bias: float, unseen: float, seen: float) -> None:
    assert SCORED.generalised(bias) == pytest.approx((unseen, seen))


def test_without_a_bias_it_is_the_argmax_over_all_labels() -> None:
    torch.manual_seed(0)
    scores, target = torch.randn(200, 4), torch.randint(4, (200,))
    right = scores.argmax(dim=1) == target
    share = [float(right[target == c].float().mean()) for c in range(4)]
    found = Scored(scores, target, SPLIT).generalised()
    assert found == pytest.approx(((share[2] + share[3]) / 2, (share[0] + share[1]) / 2))


def test_curve_and_area_by_hand() -> None:
    u, s, changes = SCORED.curve()
    assert changes.tolist() == [-1, 1, 2, 3, 4]
    assert u.tolist() == pytest.approx([0, 0.25, 0.5, 0.5, 0.5, 0.5])
    assert s.tolist() == pytest.approx([1, 1, 0.75, 0.5, 0, 0])
    # 0.25 · 1, then a trapezoid of width 0.25 between 1 and 0.75
    assert SCORED.ausuc() == pytest.approx(0.25 + 0.25 * 0.875)


def test_the_curve_is_what_each_bias_scores() -> None:
    torch.manual_seed(1)
    scores, target = torch.randn(60, 4).double(), torch.randint(4, (60,))
    scored = Scored(scores, target, SPLIT)
    u, s, changes = scored.curve()
    biases = [float(changes[0]) - 1, *((changes[1:] + changes[:-1]) / 2).tolist(), 100.0]
    for i, bias in enumerate(biases):
        assert scored.generalised(bias) == pytest.approx((float(u[i]), float(s[i])))
    assert (u.diff() >= -1e-12).all()
    assert (s.diff() <= 1e-12).all()


def test_a_perfect_model_has_area_1_and_a_guess_about_that_of_chance() -> None:
    target = torch.arange(4).repeat(5_000)
    perfect = Scored(torch.nn.functional.one_hot(target, 4).double(), target, SPLIT)
    assert perfect.summary() == pytest.approx(dict.fromkeys(perfect.summary(), 1.0))
    torch.manual_seed(0)
    guess = Scored(torch.randn(len(target), 4), target, SPLIT).summary()
    assert guess == pytest.approx(chance(SPLIT), abs=0.02)


def test_scores_do_not_depend_on_how_many_rows_a_class_has() -> None:
    rows = torch.cat([torch.arange(6), torch.tensor([2, 2, 2, 5, 5])])
    more = Scored(SCORES[rows], TARGET[rows], SPLIT)
    assert more.summary() == pytest.approx(SCORED.summary())


def test_order_of_rows_and_shifts_of_a_row_do_not_matter() -> None:
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    shifted = SCORES + torch.arange(6.0)[:, None]
    assert Scored(shifted[order], TARGET[order], SPLIT).summary() == SCORED.summary()


def test_the_best_bias_has_the_largest_harmonic_mean() -> None:
    # H: 0 | 2·0.25/1.25 = 0.4 | 2·0.5·0.75/1.25 = 0.6 | 0.5 | 0: best from 1 to 2
    assert best_bias(SCORED) == pytest.approx(1.5)
    u, s = SCORED.generalised(best_bias(SCORED))
    assert harmonic_mean(u, s) == pytest.approx(0.6)


@pytest.mark.parametrize("seed", range(5))
def test_no_bias_of_a_grid_is_better(seed: int) -> None:
    torch.manual_seed(seed)
    target = torch.randint(4, (80,))
    scores = torch.randn(80, 4) + 1.5 * torch.nn.functional.one_hot(target, 4)
    scores[:, :2] += 2  # in favour of seen classes, as trained models are
    scored = Scored(scores, target, SPLIT)

    def score(bias: float) -> float:
        return harmonic_mean(*scored.generalised(bias)) or 0.0

    grid = [score(bias) for bias in torch.linspace(-8, 8, 400).tolist()]
    assert score(best_bias(scored)) >= max(grid) - 1e-9


def only(rows: Tensor) -> Scored:
    return Scored(SCORES[rows], TARGET[rows], SPLIT)


def test_what_cannot_be_measured_is_left_out() -> None:
    assert set(only(TARGET < 2).summary()) == {"seen_accuracy"}
    assert set(only(TARGET >= 2).summary()) == {"unseen_accuracy", "zsl_accuracy"}
    assert only(TARGET > 9).summary() == {}
    assert best_bias(only(TARGET < 2)) == best_bias(only(TARGET > 9)) == 0.0


def test_one_row_of_each_and_equal_scores_are_finite() -> None:
    tied = Scored(torch.zeros(2, 4), torch.tensor([0, 2]), SPLIT)
    assert tied.generalised() == (1.0, 0.0)
    assert best_bias(tied) == 0.0
    assert 0 <= (tied.ausuc() or 0.0) <= 1


def test_rows_of_classes_outside_the_split_do_not_count() -> None:
    pseudo = ClassSplit(SPLIT.names, seen=(0,), unseen=(1,))
    with_others = Scored(SCORES, TARGET, pseudo).summary()
    without = Scored(SCORES[TARGET < 2], TARGET[TARGET < 2], pseudo).summary()
    assert with_others == without


def test_the_spread_is_the_unit_of_the_scores() -> None:
    assert Scored(3 * SCORES, TARGET, SPLIT).spread() == pytest.approx(3 * SCORED.spread())
    rows = SCORES[:3].double()
    expected = (rows - rows.mean(dim=1, keepdim=True)).square().mean().sqrt()
    assert SCORED.spread() == pytest.approx(float(expected))


def test_the_report_has_plain_and_calibrated_scores_beside_chance() -> None:
    content = report(SCORED, bias=1.5)
    assert content["unseen_classes"] == ["c", "d"]
    assert content["harmonic_mean"] == pytest.approx(0.4)
    assert content["calibrated"] == pytest.approx(
        {"bias": 1.5, "harmonic_mean": 0.6, "unseen_accuracy": 0.5, "seen_accuracy": 0.75}
    )
    assert content["chance"] == pytest.approx(
        {
            "harmonic_mean": 0.25,
            "unseen_accuracy": 0.25,
            "seen_accuracy": 0.25,
            "zsl_accuracy": 0.5,
            "ausuc": 0.125,
        }
    )
    assert report(SCORED, bias=None)["calibrated"] is None
