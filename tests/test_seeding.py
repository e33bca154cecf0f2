"""Seeding is PyTorch's own, whatever shortcut it takes."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import MLP

from jlrun.models.fusions.base import Single
from jlrun.seeding import derive_seed, has_code_of_others, seed_everything, seed_torch


def test_global_generators_are_seeded_as_pytorch_numpy_and_python_do_it() -> None:
    seed = derive_seed(3, "phase", 7)
    torch.manual_seed(seed)
    expected = torch.randn(4)
    seed_everything(3, "phase", 7)
    assert torch.equal(torch.randn(4), expected)
    assert random.random() == random.Random(seed).random()
    drawn = np.random.rand()  # noqa: NPY002  (the global generator is what is seeded)
    assert drawn == np.random.RandomState(seed % 2**32).rand()


def test_pytorchs_generator_alone_is_seeded_in_the_same_way() -> None:
    seed_everything(3, "phase", 7)
    expected, before = torch.randn(4), random.getstate()
    seed_torch(3, "phase", 7)
    assert torch.equal(torch.randn(4), expected)
    assert random.getstate() == before


class Foreign(nn.Module):
    """A user's module."""


def drawn() -> float:
    return random.random()


def holding(value: object) -> nn.Module:
    module = nn.Identity()
    module.held = value  # pyright: ignore[reportArgumentType]
    return module


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.Dropout()), False),
        (nn.Sequential(Single({"x": 3}), MLP(2, [3])), False),
        (holding({"p": [0.5, "a", None, torch.ones(2), torch.relu]}), False),
        (torch.optim.AdamW, False),
        (nn.Sequential(nn.Linear(2, 2), Foreign()), True),
        (holding(drawn), True),
        (holding({"list": [drawn]}), True),
        (holding(Foreign), True),
        (Foreign, True),
        (np.float64(1), True),
    ],
)
def test_code_of_others_is_found_wherever_a_module_holds_it(thing: object, expected: bool) -> None:
    assert has_code_of_others([1.0, thing]) == expected
