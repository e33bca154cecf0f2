"""Seeding is PyTorch's own, whatever shortcut it takes."""

from __future__ import annotations

import random

import numpy as np
import torch

from jlrun.seeding import derive_seed, seed_everything


def test_global_generators_are_seeded_as_pytorch_numpy_and_python_do_it() -> None:
    seed = derive_seed(3, "phase", 7)
    torch.manual_seed(seed)
    expected = torch.randn(4)
    seed_everything(3, "phase", 7)
    assert torch.equal(torch.randn(4), expected)
    assert random.random() == random.Random(seed).random()
    drawn = np.random.rand()  # noqa: NPY002  (the global generator is what is seeded)
    assert drawn == np.random.RandomState(seed % 2**32).rand()
