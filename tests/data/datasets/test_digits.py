"""The bundled handwritten digits."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits as bundled

from jlrun.data.datasets.digits import load_digits

COUNTS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # UCI: optdigits.tes, class sizes


def test_counts_are_those_of_the_uci_test_file() -> None:
    rows = load_digits().train
    assert len(rows) == 1797
    assert rows.targets["digit"].bincount().tolist() == COUNTS


def test_parity_is_that_of_the_digit() -> None:
    targets = load_digits().train.targets
    assert torch.equal(targets["parity"], targets["digit"] % 2)
    assert load_digits().classes["parity"] == ("even", "odd")


def test_pixels_span_black_to_white() -> None:
    pixels, _ = bundled(return_X_y=True)
    images = load_digits().train.fetch(torch.arange(1797)).inputs["image"]
    assert images.min() == 0
    assert images.max() == 255
    sixteenths = torch.as_tensor(pixels).reshape(1797, 1, 8, 8)
    assert (images.double() / 255 - sixteenths / 16).abs().max() <= 0.5 / 255


def test_no_official_splits() -> None:
    assert load_digits().val is None
    assert load_digits().test is None
