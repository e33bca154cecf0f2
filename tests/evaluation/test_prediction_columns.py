"""Columns of predictions, by hand."""

from __future__ import annotations

import torch

from jlrun.evaluation.conformal import Interval
from jlrun.evaluation.prediction_columns import prediction_columns
from jlrun.tasks import Binary, Multiclass, Multilabel, Regression, TaskSpec

NAN = float("nan")


def test_exclusive_classes() -> None:
    spec = TaskSpec("pet", Multiclass(), ("cat", "dog"))
    found = prediction_columns(spec, torch.tensor([[0.25, 0.75], [NAN, NAN]]))
    assert found == {
        "pet": ["dog", None],
        "pet_probability": [0.75, None],
        "pet_p_cat": [0.25, None],
        "pet_p_dog": [0.75, None],
    }
    yes = TaskSpec("ok", Binary(), ("no", "yes"))
    winner = prediction_columns(yes, torch.tensor([[1 - 1e-7, 1.23456789e-7]]), every_class=False)
    assert winner == {"ok": ["no"], "ok_probability": [1.0]}
    tiny = prediction_columns(yes, torch.tensor([[1 - 1e-7, 1.23456789e-7]]).double())
    assert tiny["ok_p_yes"] == [1.23457e-07]


def test_labels() -> None:
    spec = TaskSpec("tags", Multilabel(), ("red hot", "blue"))
    found = prediction_columns(spec, torch.tensor([[0.9, 0.6], [0.1, 0.2]]).double())
    assert found == {
        "tags": ["red hot|blue", ""],
        "tags_p_red hot": [0.9, 0.1],
        "tags_p_blue": [0.6, 0.2],
    }


def test_numbers() -> None:
    spec, task = TaskSpec("price", Regression(), ()), Regression()
    values = torch.tensor([[1.7e9 + 0.125], [NAN]], dtype=torch.float64)
    assert prediction_columns(spec, values) == {"price": [1.7e9 + 0.125, None]}
    found = prediction_columns(spec, values, Interval(task, -2.0, 1.0, 0.9))
    assert found["price_lower"] == [1.7e9 - 1.875, None]
    assert found["price_upper"] == [1.7e9 + 1.125, None]
