"""Nodes become objects."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from jlrun.config.build import build
from jlrun.config.slots import DATASET, ENCODER, HEAD, OPTIMIZER, PART, SCHEDULER, TASK, Slot
from jlrun.config.trust import VARIABLE
from jlrun.errors import UserError

MINE = "parts_of_mine.Encoder"


@pytest.fixture(autouse=True)
def _own_package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setenv(VARIABLE, "parts_of_mine")
    yield
    sys.modules.pop("parts_of_mine", None)


def test_arguments_arrive_as_the_types_of_the_signature() -> None:
    encoder = build(
        {"_target_": MINE, "width": 3, "sizes": [1, 2], "folder": "a"}, ENCODER, "the spec"
    )
    assert (encoder.spec, encoder.width, encoder.sizes) == ("the spec", 3, (1, 2))
    assert encoder.folder == Path("a")


def test_nested_targets_are_built() -> None:
    inner = {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}
    encoder = build({"_target_": MINE, "width": 3, "inner": inner}, ENCODER, None)
    assert isinstance(encoder.inner, torch.nn.Linear)
    parts = build({"_target_": "parts_of_mine.Open", "list": [inner], "plain": {"a": 1}}, PART)
    assert isinstance(parts.kwargs["list"][0], torch.nn.Linear)
    assert parts.kwargs["plain"] == {"a": 1}


def test_arguments_of_the_run_win() -> None:
    assert build({"_target_": MINE, "width": 3}, ENCODER, None, width=5).width == 5


def test_an_optimizer_over_groups() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    node = {"_target_": "torch.optim.AdamW", "lr": 0.1, "betas": [0.8, 0.9]}
    optimizer = build(node, OPTIMIZER, [{"params": [weight], "lr": 0.2}])
    assert optimizer.param_groups[0]["lr"] == 0.2
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"_target_": "os.system", "command": "true"}, "not in a trusted package"),
        ({"_target_": MINE, "width": 13}, "parts_of_mine.Encoder: 13 brings bad luck"),
        ({"_target_": MINE, "width": "x"}, "width: 'x' is not a whole number"),
    ],
)
def test_what_is_wrong_is_told(node: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(node, ENCODER, None)


LAYER = {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}


@pytest.mark.parametrize(
    ("node", "slot", "demanded"),
    [
        (LAYER, TASK, "is not a task (jlrun.tasks.Task)"),
        ({"_target_": "jlrun.tasks.Binary"}, ENCODER, "is not an encoder (torch.nn.Module)"),
        (
            {"_target_": "jlrun.data.datasets.digits.load_digits"},
            TASK,
            "is not a task (jlrun.tasks.Task)",
        ),
        ({"_target_": "parts_of_mine.Encoder", "width": 3}, OPTIMIZER, "(torch.optim.Optimizer)"),
        ({"_target_": "parts_of_mine.untold"}, DATASET, "def untold(…) -> Dataset"),
        (LAYER, SCHEDULER, "(step, num_steps)"),
        ({}, TASK, "there is a node without a _target_ where a task is described"),
        ({"_target_": "jlrun.tasks.Binary", "_args_": [1]}, TASK, "keys that begin with _ are not"),
        (LAYER | {"out_features": "x"}, HEAD, "out_features: 'x' is not"),
        ({"_target_": "torch.nn.Linear"}, HEAD, "missing a required argument: 'in_features'"),
        ({"_target_": "jlrun.tasks.Binary", "x": 1}, TASK, "Binary takes no 'x'"),
        (
            {"_target_": MINE, "width": 1, "inner": {"_target_": "jlrun.cli.main.main"}},
            ENCODER,
            "a part",
        ),
        (
            {"_target_": MINE, "width": 1, "untyped": [{"_target_": "torch.load"}]},
            ENCODER,
            "a part",
        ),
    ],
)
def test_a_slot_demands_its_base_before_anything_is_called(
    node: dict[str, object], slot: Slot, demanded: str
) -> None:
    with pytest.raises(UserError) as raised:
        build(node, slot)
    (problem,) = raised.value.problems
    assert demanded in str(problem)
    import parts_of_mine

    assert parts_of_mine.called == []


def test_a_function_that_returns_something_else_than_it_says_is_told() -> None:
    with pytest.raises(
        UserError, match=r"parts_of_mine.liar: it returned a list, which is not a data"
    ):
        build({"_target_": "parts_of_mine.liar"}, DATASET)
