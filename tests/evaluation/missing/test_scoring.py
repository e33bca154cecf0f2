"""Scores under scenarios against an ordinary evaluation of rows that lack what these take."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.evaluation.missing.constants import best_constant
from jlrun.evaluation.missing.scoring import (
    Scenario,
    Scored,
    at_rate,
    only,
    score_under,
    subset_name,
    subsets,
)
from jlrun.evaluation.scores import Prediction, evaluate
from jlrun.tasks import Binary
from jlrun.tasks.objective import Objective
from tests.evaluation.missing.two_inputs import MODALITIES, ROWS, predict, rows, stream
from tests.toy import TASKS, toy_objectives

NATURAL = {"left": torch.arange(ROWS) % 3 > 0, "right": torch.arange(ROWS) % 6 > 0}
LABELLED = {"largest": torch.arange(ROWS) % 5 > 0}


def scenarios() -> dict[str, Scenario]:
    return {
        "nothing": only((), MODALITIES),
        **{subset_name(s): only(s, MODALITIES) for s in subsets(MODALITIES)},
        **{f"seed {seed}": at_rate(0.6, seed, ROWS, MODALITIES) for seed in (0, 1)},
    }


def found(
    test: TensorRows, constants: dict[str, Tensor] | None = None, **more: Scenario
) -> dict[str, Scored]:
    chosen = more or scenarios()
    objectives = toy_objectives()
    return score_under(predict(), objectives, stream(test), MODALITIES, chosen, constants or {})


def has(test: TensorRows) -> Tensor:
    batch = test.fetch(torch.arange(ROWS))
    everywhere = torch.ones(ROWS, dtype=torch.bool)
    return torch.stack([batch.present.get(m, everywhere) for m in MODALITIES], dim=1)


def without(test: TensorRows, left: Tensor) -> TensorRows:
    """The rows that have anything left, lacking what they have not."""
    kept = left.any(dim=1)
    batch = test.fetch(kept.nonzero()[:, 0])
    present = dict(zip(MODALITIES, left[kept].unbind(dim=1), strict=True))
    return TensorRows(batch.inputs, batch.targets, present, batch.labelled)


@pytest.mark.parametrize("name", [name for name in scenarios() if name != "nothing"])
@pytest.mark.parametrize("present", [{}, NATURAL], ids=["whole", "with holes"])
def test_scores_are_those_of_rows_that_lack_it(name: str, present: dict[str, Tensor]) -> None:
    test = rows(present, LABELLED)
    left = scenarios()[name](has(test), slice(0, ROWS))
    expected = evaluate(predict(), toy_objectives(), {"dataset": stream(without(test, left))})
    scored = found(test)[name]
    for label, outcome in scored.outcomes.items():
        assert dict(outcome.scores) == pytest.approx(expected[label])
    kept = left.any(dim=1)
    assert scored.outcomes["sign"].rows == int(kept.sum())
    assert scored.outcomes["largest"].rows == int((kept & LABELLED["largest"]).sum())
    assert (scored.had, scored.had - scored.lost) == (int(has(test).sum()), int(left.sum()))


def test_rows_pass_through_the_model_once_for_each_rest() -> None:
    seen: list[tuple[int, int]] = []
    ours = predict()

    def counting(batch: Batch, objectives: Sequence[Objective]) -> list[Prediction]:
        seen.append((batch.size, sum(not bool(mask.any()) for mask in batch.present.values())))
        return ours(batch, objectives)

    many = {f"{i}": at_rate(0.5, i, ROWS, MODALITIES) for i in range(20)}
    score_under(counting, toy_objectives(), stream(rows()), MODALITIES, many | scenarios(), {})
    assert sum(size for size, _ in seen) == 3 * ROWS
    assert {absent for _, absent in seen} == {0, 1}


def test_without_anything_rows_are_given_the_constant() -> None:
    test = rows(NATURAL)
    constants = {"sign": best_constant(Binary(), 1, rows(seed=9).targets["sign"])}
    scored = found(test, constants)
    guess = int(constants["sign"] > 0)
    right = float((test.targets["sign"] == guess).float().mean())
    nothing = scored["nothing"].outcomes["sign"]
    assert (nothing.rows, nothing.scores) == (0, {})
    assert nothing.filled["accuracy"] == pytest.approx(right)
    assert scored["nothing"].outcomes["largest"].filled == {}

    left = scored["left"].outcomes["sign"]
    lacking = ~NATURAL["left"]
    hits = left.scores["accuracy"] * left.rows
    hits += float((test.targets["sign"][lacking] == guess).sum())
    assert left.filled["accuracy"] == pytest.approx(hits / ROWS)


def test_where_all_rows_have_something_filling_changes_nothing() -> None:
    constants = {spec.name: torch.zeros(spec.num_outputs) for spec in TASKS}
    for name, scored in found(rows(), constants).items():
        for outcome in scored.outcomes.values():
            assert name == "nothing" or outcome.filled == outcome.scores


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
