"""Stages of encoders: run in order they are the encoder."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from jlrun.data.specs import AudioSpec, ImageSpec, TabularSpec, TextSpec
from jlrun.models.encoders import (
    CNN,
    MLP,
    AudioCNN,
    AudioTransformer,
    BagOfEmbeddings,
    Encoder,
    LeNet,
    TabularMLP,
    Torchvision,
)

IMAGE = ImageSpec(3, 9, 7, (0.5,) * 3, (0.5,) * 3)
AUDIO = AudioSpec(num_samples=300, sample_rate=4000)
TEXT = TextSpec(("a", "b"), 5)
TABLE = TabularSpec(("n",), (0.0,), (1.0,), ("k",), (("x", "y"),))

CASES: dict[str, tuple[Callable[[], Encoder], list[int]]] = {
    "cnn": (lambda: CNN(IMAGE, channels=[4, 5], hidden=6), [4, 5, 6]),
    "cnn without convolutions": (lambda: CNN(IMAGE, channels=[], hidden=6), [6]),
    "lenet": (lambda: LeNet(IMAGE, hidden=6), [10, 20, 6]),
    "mlp": (lambda: MLP(IMAGE, hidden=[6, 4]), [6, 4]),
    "pixels": (lambda: MLP(IMAGE, hidden=[]), [189]),
    "audio": (lambda: AudioCNN(AUDIO, num_mels=8, channels=[2, 3], hidden=4), [2, 3, 4]),
    "bands": (lambda: AudioCNN(AUDIO, num_mels=8, channels=[], hidden=4), [4]),
    "patches": (
        lambda: AudioTransformer(AUDIO, num_mels=8, width=4, depth=2, heads=2),
        [4, 4, 4],
    ),
    "table": (lambda: TabularMLP(TABLE, hidden=[6, 4]), [6, 4]),
    "cells": (lambda: TabularMLP(TABLE, hidden=[], embedding=3), [5]),
    "text": (lambda: BagOfEmbeddings(TEXT, width=4), [4]),
    "resnet18": (lambda: Torchvision(IMAGE, "resnet18"), [64, 64, 128, 256, 512, 512]),
    "mobilenet": (lambda: Torchvision(IMAGE, "mobilenet_v3_small"), [1024]),
}


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("count", [1, 3])
def test_stages_compose_to_the_encoder(case: str, train: bool, count: int) -> None:
    make, channels = CASES[case]
    torch.manual_seed(0)
    encoder = make().train(train)
    x = {
        "audio": torch.randn(count, 300),
        "bands": torch.randn(count, 300),
        "patches": torch.randn(count, 300),
        "table": torch.tensor([[torch.nan, 2.0]] * count),
        "cells": torch.tensor([[0.5, 0.0]] * count),
        "text": torch.randint(4, (count, 5)),
    }.get(case, torch.randn(count, 3, 9, 7))
    stages, y, widths = encoder.stages(), x, []
    torch.manual_seed(1)
    for stage in stages:
        y = stage.run(y)
        widths.append(y.shape[1])
    torch.manual_seed(1)
    torch.testing.assert_close(y, encoder(x))
    assert widths == [stage.channels for stage in stages] == channels


def test_stages_add_nothing_to_the_state() -> None:
    encoder = CNN(IMAGE, channels=[4], hidden=6)
    before = list(encoder.state_dict())
    encoder.stages()
    assert list(encoder.state_dict()) == before
