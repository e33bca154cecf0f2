"""Nodes become objects."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from jlrun.config.build import build
from jlrun.config.trust import VARIABLE
from jlrun.errors import UserError

ENCODER = "parts_of_mine.Encoder"


@pytest.fixture(autouse=True)
def _own_package(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setenv(VARIABLE, "parts_of_mine")
    yield
    sys.modules.pop("parts_of_mine", None)


def test_arguments_arrive_as_the_types_of_the_signature() -> None:
    encoder = build({"_target_": ENCODER, "width": 3, "sizes": [1, 2], "folder": "a"}, "the spec")
    assert (encoder.spec, encoder.width, encoder.sizes) == ("the spec", 3, (1, 2))
    assert encoder.folder == Path("a")


def test_nested_targets_are_built() -> None:
    inner = {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}
    encoder = build({"_target_": ENCODER, "width": 3, "inner": inner}, None)
    assert isinstance(encoder.inner, torch.nn.Linear)
    parts = build({"_target_": "parts_of_mine.Open", "list": [inner], "plain": {"a": 1}})
    assert isinstance(parts.kwargs["list"][0], torch.nn.Linear)
    assert parts.kwargs["plain"] == {"a": 1}


def test_arguments_of_the_run_win() -> None:
    assert build({"_target_": ENCODER, "width": 3}, None, width=5).width == 5


def test_an_optimizer_over_groups() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    node = {"_target_": "torch.optim.AdamW", "lr": 0.1, "betas": [0.8, 0.9]}
    optimizer = build(node, [{"params": [weight], "lr": 0.2}])
    assert optimizer.param_groups[0]["lr"] == 0.2
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"_target_": "os.system", "command": "true"}, "not in a trusted package"),
        ({"_target_": ENCODER, "width": 13}, "parts_of_mine.Encoder: 13 brings bad luck"),
        ({"_target_": ENCODER, "width": "x"}, "width: 'x' is not a whole number"),
    ],
)
def test_what_is_wrong_is_told(node: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(node, None)
