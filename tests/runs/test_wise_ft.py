"""The curve between the weights before and after fine-tuning: its ends, its choice, its scores."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from jlrun.data.labelled_streams import LabelledStreams
from jlrun.engine import Engine
from jlrun.evaluation.scores import evaluate, mean_score, predictor
from jlrun.models.joint_model import JointModel
from jlrun.runs.wise_ft import ALPHAS, Between, wise_ft
from jlrun.strategies import transfer
from jlrun.strategies.finetuning import Full
from jlrun.strategies.plan_parts import PlanContext
from jlrun.training.plan import Plan
from tests.toy import CPU, TASKS, toy_model, toy_recipe, toy_rows, toy_stream

Weights = dict[str, Tensor]


def plan_of(source: bool = True) -> Plan:
    def feed(name: str, seed: int) -> LabelledStreams:
        train, val, test = (toy_stream(name, toy_rows(16, seed + i)) for i in range(3))
        return LabelledStreams(name, train, val, test, train, TASKS)

    sources = (feed("source", 0),) if source else ()
    domains = transfer.Domains(sources, feed("target", 10))
    parts = PlanContext(toy_recipe(), ("x",), 2, baselines=False)
    return transfer.plan_finetune(domains, Full(wise_ft=True), parts, pretrain_epochs=1)


def weights(seed: int) -> Weights:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(tensor.shape, generator=generator)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in toy_model().state_dict().items()
    }


def scores_of(state: Mapping[str, Tensor], plan: Plan) -> tuple[float, dict, dict]:
    model = toy_model()
    model.load_state_dict(state)
    predict, fit = predictor(model, Engine(CPU)), plan.fits[0]
    val = mean_score(evaluate(predict, fit.scored, plan.val), fit.scored)
    source = evaluate(predict, fit.also_scored.get("source", ()), plan.test)
    return val, evaluate(predict, fit.scored, plan.test), source


def curve(before: Weights, after: Weights, plan: Plan) -> tuple[list[Between], JointModel]:
    model = toy_model()
    return wise_ft(model, before, after, plan.fits[0], plan, Engine(CPU)), model


def test_each_point_has_the_scores_of_the_mixed_weights() -> None:
    before, after, plan = weights(0), weights(1), plan_of()
    found, model = curve(before, after, plan)
    assert [point.alpha for point in found] == list(ALPHAS) == [0, 0.25, 0.5, 0.75, 1]
    for point in found:
        mixed = {
            name: (1 - point.alpha) * tensor + point.alpha * after[name]
            if tensor.is_floating_point()
            else tensor
            for name, tensor in before.items()
        }
        val, test, source = scores_of(mixed, plan)
        assert point.val_score == pytest.approx(val)
        for told, expected in ((point.test, test), (point.source, source)):
            assert set(told) == set(expected)
            for label, metrics in expected.items():
                assert told[label] == pytest.approx(metrics, rel=1e-5)
    assert set(found[0].source) == {"source.sign", "source.largest"}
    assert all(torch.equal(tensor, after[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("seed", range(3))
def test_validation_selects_one_point(seed: int) -> None:
    found, _ = curve(weights(seed), weights(seed + 10), plan_of())
    (selected,) = (point for point in found if point.selected)
    assert selected.val_score == max(point.val_score for point in found)


def test_of_equal_points_the_one_of_more_fine_tuning_is_selected() -> None:
    same = weights(0)
    found, _ = curve(same, {name: tensor.clone() for name, tensor in same.items()}, plan_of())
    assert [point.alpha for point in found if point.selected] == [1.0]


def test_without_sources_there_are_no_source_scores() -> None:
    found, _ = curve(weights(0), weights(1), plan_of(source=False))
    assert all(dict(point.source) == {} for point in found)


def test_the_curve_begins_where_fine_tuning_did() -> None:
    assert plan_of().fits[0].interpolated == "pretrain"
    assert plan_of(source=False).fits[0].interpolated == ""
    told = curve(weights(0), weights(1), plan_of())[0][0].to_json()
    assert set(told) == {"alpha", "val_score", "test", "source", "selected"}
