"""What a result says of missing modalities: consistent with itself, for every fusion."""

from __future__ import annotations

import math
from functools import partial
from statistics import fmean
from typing import Any

import pytest
import torch

from jlrun.config.build import build
from jlrun.config.slots import FUSION
from jlrun.evaluation.missing.report import area_under, missing_values, score_missing
from jlrun.evaluation.scores import evaluate
from tests.evaluation.missing.two_inputs import (
    MODALITIES,
    ROWS,
    model,
    predict,
    rows,
    scored_model,
    stream,
)
from tests.models.fusions.test_battery import SEVERAL
from tests.options import option_node

RATES, SEEDS = (0.0, 0.4, 0.8), (0, 1)
HOLES = {"left": torch.arange(ROWS) % 4 > 0}


def report(present: Any = None, fusion: str = "gated") -> dict[str, Any]:
    node = option_node("fusion", fusion)
    made = model(partial(build, node, FUSION))  # pyright: ignore[reportArgumentType]
    test = {"dataset": stream(rows(present, seed=1))}
    return score_missing(predict(made), scored_model(rows()), test, RATES, SEEDS)


@pytest.mark.parametrize("fusion", SEVERAL)
@pytest.mark.parametrize("present", [None, HOLES], ids=["whole", "with holes"])
def test_every_fusion_has_scores_for_every_subset(fusion: str, present: Any) -> None:
    found = report(present, fusion)["missing"]
    assert list(found["subsets"]) == ["left", "right", "left+right"]
    for tasks in found["subsets"].values():
        assert set(tasks) == {"sign", "largest"}
        assert all(math.isfinite(tasks[task]["loss"]) for task in tasks)


def test_all_modalities_are_the_model_as_it_is_scored_elsewhere() -> None:
    found = report(HOLES)
    test = {"dataset": stream(rows(HOLES, seed=1))}
    ordinary = evaluate(predict(), scored_model(rows()).scored, test)
    for task, scores in ordinary.items():
        assert found["missing"]["subsets"]["left+right"][task] == pytest.approx(scores)
        assert found["missing"]["rates"][0]["test"][task] == pytest.approx(scores)
        assert found["contribution"][task]["all"] == pytest.approx(scores["accuracy"])


@pytest.mark.parametrize("present", [None, HOLES], ids=["whole", "with holes"])
def test_contributions_add_up(present: Any) -> None:
    for told in report(present)["contribution"].values():
        total = sum(told["shapley"].values())
        assert total == pytest.approx(told["all"] - told["none"])
        for m, other in (("left", "right"), ("right", "left")):
            assert told["without"][m] == told["alone"][other]
            assert told["ablation"][m] == pytest.approx(told["all"] - told["alone"][other])
        assert told["exact"]


def test_rows_that_have_none_of_a_subset_are_left_out_and_counted() -> None:
    found = report(HOLES)["missing"]
    assert found["rows"]["left"] == {"sign": int(HOLES["left"].sum()), "largest": 37}
    assert found["rows"]["right"]["sign"] == found["rows"]["left+right"]["sign"] == ROWS


def test_the_summary_follows_from_the_scores() -> None:
    found = report()["missing"]
    for task, summary in found["summary"].items():
        scores = {name: tasks[task]["accuracy"] for name, tasks in found["subsets"].items()}
        assert summary["mean"] == pytest.approx(fmean(scores.values()))
        assert summary["worst"] == min(scores.values()) == scores[summary["worst_subset"]]
        a, b, c = (point["test"][task]["accuracy"] for point in found["rates"])
        assert summary["area"] == pytest.approx((a + b) / 4 + (b + c) / 4)


def test_the_same_is_lost_in_every_run() -> None:
    first, second = report(), report()
    assert first == second
    lost = [point["lost"] for point in first["missing"]["rates"]]
    assert lost[0] == 0
    assert 0 < lost[1] < lost[2]
    assert lost[1] == pytest.approx(0.4 - 0.4**2 / 2, abs=0.1)


def test_a_constant_score_has_itself_as_area() -> None:
    assert area_under([(0.0, 0.7), (0.3, 0.7), (0.9, 0.7)]) == pytest.approx(0.7)
    assert area_under([(0.5, 0.7)]) is None
    assert area_under([(0.0, 0.7), (0.5, math.nan)]) is None


def test_tags_are_those_of_the_contract() -> None:
    found = report()
    values = missing_values(found)
    for subset in ("left", "right", "left+right"):
        for metric, score in found["missing"]["subsets"][subset]["sign"].items():
            assert values[f"missing/{subset}/sign/{metric}"] == score
    assert "missing/rate_0.4/sign/accuracy" in values
    assert "missing/area/largest/accuracy" in values
    for m in MODALITIES:
        shares = found["contribution"]["sign"]
        assert values[f"contribution/{m}/sign/shapley"] == shares["shapley"][m]
        assert values[f"contribution/{m}/sign/ablation"] == shares["ablation"][m]
    assert missing_values({}) == {}
