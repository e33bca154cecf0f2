"""Nodes are checked against the signature of what they name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jlrun.config.groups import Place
from jlrun.config.signatures import check_place
from jlrun.config.slots import DATASET, ENCODER, OPTIMIZER, SCHEDULER, TASK, TERM, Slot
from jlrun.config.trust import VARIABLE


@pytest.fixture(autouse=True)
def _own_package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setenv(VARIABLE, "parts_of_mine")
    yield
    sys.modules.pop("parts_of_mine", None)


def told(target: str, slot: Slot = ENCODER, **arguments: Any) -> list[str]:
    node = {"_target_": target, **arguments}
    return [str(problem) for problem in check_place(Place("part", node, slot))]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "part.width: Encoder needs it: add +part.width=…"),
        ({"width": 0}, "part.width: 0 is too small: at least 1"),
        ({"width": 1.5}, "part.width: 1.5 is not a whole number"),
        ({"width": "8"}, "part.width: '8' is not a whole number"),
        ({"width": True}, "part.width: true is not a whole number"),
        ({"widht": 1, "width": 1}, "part.widht: Encoder takes no 'widht'. Did you mean 'width'?"),
        ({"spec": 1, "width": 1}, "part.spec: Encoder takes no 'spec'."),
        ({"width": 1, "dropout": 2}, "part.dropout: 2 is too large: at most 1"),
        ({"width": 1, "kind": "dep"}, "part.kind: there is no choice 'dep'. Did you mean 'deep'?"),
        ({"width": 1, "sizes": [1, "x"]}, "part.sizes.1: 'x' is not a whole number"),
        ({"width": 1, "sizes": 3}, "part.sizes: 3 is not a list, as in [a,b]"),
        ({"width": 1, "scale": "abc"}, "part.scale: 'abc' is not a number"),
        ({"width": 1, "names": {"a": "x"}}, "part.names.a: 'x' is not a number"),
        ({"width": 1, "_args_": []}, "part._args_: keys that begin with _ are not supported"),
        ({"width": 1, "inner": {"_target_": "os.system"}}, "part.inner._target_: 'os.system' is"),
        ({"width": 1, "inner": {"_target_": "torch.nn.ReLU", "x": 1}}, "part.inner.x: ReLU takes"),
        ({"width": 1, "untyped": [{"_target_": "torch.load"}]}, "part.untyped.0._target_: 'torch"),
    ],
)
def test_a_wrong_argument_is_told(arguments: dict[str, Any], message: str) -> None:
    (problem,) = told("parts_of_mine.Encoder", **arguments)
    assert message in problem


def test_all_wrong_arguments_are_told_at_once() -> None:
    problems = told("parts_of_mine.Encoder", widht=1, dropout=-1, kind="x")
    assert [problem.split(":")[0] for problem in problems] == [
        "part.widht",
        "part.width",
        "part.dropout",
        "part.kind",
    ]


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("parts_of_mine.Encoder", {"width": 3, "sizes": [1, 2], "scale": 2, "names": {"a": 1}}),
        ("parts_of_mine.Encoder", {"width": 3, "inner": {"_target_": "torch.nn.ReLU"}}),
        ("parts_of_mine.Encoder", {"width": 3, "odd": "anything", "untyped": {"a": [1]}}),
        ("parts_of_mine.Open", {"anything": "goes"}),
        ("parts_of_mine.make_encoder", {"width": 3}),
        ("torch.nn.Flatten", {"end_dim": 2}),
    ],
)
def test_right_arguments_are_left_alone(target: str, arguments: dict[str, Any]) -> None:
    assert told(target, **arguments) == []


@pytest.mark.parametrize(
    ("target", "slot", "message"),
    [
        ("parts_of_mine.Without", ENCODER, "Without must take spec first, given at run time"),
        ("torch.load", DATASET, "'torch.load' is not a data set"),
        ("torch.hub.load", DATASET, "is not a data set"),
        ("torch.load", ENCODER, "is not an encoder"),
        ("torch.utils.collect_env.run", TERM, "is not a term"),
        ("torch.nn.Linear", OPTIMIZER, "is not an optimizer (torch.optim.Optimizer)"),
        ("torch.nn.Linear", TASK, "is not a task (jlrun.tasks.Task)"),
        ("torch.optim.lr_scheduler.StepLR", SCHEDULER, "is not a schedule"),
        ("jlrun.cli.main.main", DATASET, "is not a data set"),
    ],
)
def test_what_does_not_fit_the_place_is_refused(target: str, slot: Slot, message: str) -> None:
    (problem,) = told(target, slot)
    assert problem.startswith("part._target_: ")
    assert message in problem


def test_what_only_the_optimizer_itself_refuses_is_told() -> None:
    assert told("torch.optim.SGD", OPTIMIZER, lr=-1.0) == ["part: Invalid learning rate: -1.0"]
    (problem,) = told("torch.optim.SGD", OPTIMIZER, lr=0.1, nesterov=True, momentum=0.0)
    assert "Nesterov" in problem
    assert told("torch.optim.SGD", OPTIMIZER, lr=0.1) == []
    (problem,) = told("torch.optim.AdamW", OPTIMIZER, betas=[0.9])
    assert problem == "part.betas: [0.9] has too few values"
