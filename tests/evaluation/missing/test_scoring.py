"""Scores under scenarios against an ordinary evaluation of rows that lack what these take."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.evaluation.missing.constants import best_constant
from jlrun.evaluation.missing.scenarios import Scenario, at_rate, only, subset_name, subsets
from jlrun.evaluation.missing.scoring import Scored, score_under
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
