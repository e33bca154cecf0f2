from __future__ import annotations

import torch

from jlrun.data.specs import AudioSpec
from jlrun.models.encoders import Point


def test_features_are_the_point_for_every_input() -> None:
    encoder = Point(AudioSpec(1, 1), [3.0, -1.0])
    features = encoder(torch.randn(4, 1))
    assert encoder.out_features == 2
    assert features.tolist() == [[3.0, -1.0]] * 4
    features[:, 0].sum().backward()
    assert encoder.x.grad is not None
    assert encoder.x.grad.tolist() == [4.0, 0.0]
