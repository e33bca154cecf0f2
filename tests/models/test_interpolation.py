"""Interpolated weights and greedy soups."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from jlrun.errors import UserError
from jlrun.models.interpolation import greedy_soup, interpolate


def weights(
    *values: float, steps: int = 0, dtype: torch.dtype = torch.float64
) -> dict[str, Tensor]:
    return {"w": torch.tensor(values, dtype=dtype), "steps": torch.tensor(steps)}


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 1.0])
def test_floats_are_mixed_and_counters_are_those_of_the_second(alpha: float) -> None:
    a, b = weights(0.1, -3.0, steps=5), weights(0.7, 1e8, steps=9)
    mixed = interpolate(a, b, alpha)
    torch.testing.assert_close(mixed["w"], (1 - alpha) * a["w"] + alpha * b["w"])
    assert mixed["steps"] == 9
    if alpha in (0.0, 1.0):
        assert torch.equal(mixed["w"], (b if alpha else a)["w"])
    mixed["w"].zero_()
    mixed["steps"].zero_()
    assert a["w"][1] == -3
    assert b["steps"] == 9


def test_half_precision_is_rounded_once() -> None:
    a, b = (weights(x, dtype=torch.bfloat16) for x in (1.0, 3.015625))
    mixed = interpolate(a, b, 0.75)["w"]
    assert mixed.dtype == torch.bfloat16
    assert mixed == torch.tensor(0.25 + 0.75 * b["w"].double().item(), dtype=torch.bfloat16)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_out_of_range(alpha: float) -> None:
    with pytest.raises(UserError, match="alpha="):
        interpolate(weights(1.0), weights(2.0), alpha)


@pytest.mark.parametrize("other", [{"w": torch.zeros(2)}, weights(1.0, 2.0, 3.0)])
def test_unlike_models(other: dict[str, Tensor]) -> None:
    with pytest.raises(UserError, match="different models"):
        interpolate(weights(1.0, 2.0), other, 0.5)
    with pytest.raises(UserError, match="different models"):
        greedy_soup([weights(1.0, 2.0), other], lambda _: 0.0)


def closeness(to: tuple[float, ...]) -> tuple[list[Mapping[str, Tensor]], object]:
    seen: list[Mapping[str, Tensor]] = []

    def score(candidate: Mapping[str, Tensor]) -> float:
        seen.append(candidate)
        return -float((candidate["w"] - torch.tensor(to, dtype=torch.float64)).norm())

    return seen, score


def test_a_soup_takes_what_does_not_make_it_worse() -> None:
    # Worked by hand, best at the origin. The second candidate halves the distance; the third moves
    # the mean to (1, 0), further away; the fourth balances the two members.
    candidates = [
        weights(1.0, 0.0, steps=1),
        weights(0.0, 0.0),
        weights(2.0, 0.0),
        weights(-1.0, 0.0),
    ]
    seen, score = closeness((0.0, 0.0))
    soup = greedy_soup(candidates, score)  # pyright: ignore[reportArgumentType]
    assert soup.members == (0, 1, 3)
    torch.testing.assert_close(soup.weights["w"], torch.zeros(2, dtype=torch.float64))
    assert soup.score == 0
    assert soup.weights["steps"] == 1
    assert len(seen) == 4


def test_equal_scores_join() -> None:
    soup = greedy_soup([weights(1.0), weights(2.0), weights(6.0)], lambda _: 0.5)
    assert soup.members == (0, 1, 2)
    assert soup.weights["w"].item() == pytest.approx(3.0, abs=1e-15)


def test_one_candidate_is_the_soup() -> None:
    soup = greedy_soup([weights(1.0)], lambda _: float("nan"))
    assert soup.members == (0,)
    assert soup.weights["w"] == 1


def test_a_score_that_is_no_number_is_worse() -> None:
    def score(candidate: Mapping[str, Tensor]) -> float:
        return 0.1 if candidate["w"] == 1 else float("nan")

    assert greedy_soup([weights(1.0), weights(2.0)], score).members == (0,)


def test_the_soup_is_never_worse_than_its_best_member() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(6, generator=generator, dtype=torch.float64)

    def score(candidate: Mapping[str, Tensor]) -> float:
        return -float((candidate["w"] - target).norm())

    points = [target + torch.randn(6, generator=generator, dtype=torch.float64) for _ in range(8)]
    candidates = sorted(({"w": point} for point in points), key=score, reverse=True)
    soup = greedy_soup(candidates, score)
    assert soup.score > score(candidates[0])
    assert len(soup.members) > 1
    mean = torch.stack([candidates[i]["w"] for i in soup.members]).mean(dim=0)
    torch.testing.assert_close(soup.weights["w"], mean)


def test_no_candidate() -> None:
    with pytest.raises(UserError, match="at least one"):
        greedy_soup([], lambda _: 0.0)
