"""gru and series_cnn against their definitions."""

from __future__ import annotations

import pytest
import torch

from jlrun.data.specs import SeriesSpec
from jlrun.models.encoders import GRU, SeriesCNN
from jlrun.models.encoders.base import read_steps

SPEC = SeriesSpec(6, 2, (0.0, 0.0), (1.0, 1.0))
NAN = torch.nan


def test_values_marks_and_padding() -> None:
    x = torch.tensor([[[1.0, NAN], [NAN, NAN], [2.0, 3.0], [NAN, NAN]], [[NAN, NAN]] * 4])
    steps, padding = read_steps(x)
    # within the series a step without values is a hole; behind its last value it is none
    assert steps[0].tolist() == [[1, 0, 0, 1], [0, 0, 1, 1], [2, 3, 0, 0], [0, 0, 0, 0]]
    assert padding.tolist() == [[False, False, False, True], [False, True, True, True]]


@torch.no_grad()
def test_gru_is_the_last_state_of_torchs_packed_sequences() -> None:
    torch.manual_seed(0)
    encoder = GRU(SPEC, width=5, layers=2).eval()
    x = torch.randn(3, 6, 2)
    lengths = [6, 4, 1]
    for row, length in enumerate(lengths):
        x[row, length:] = NAN
    steps = torch.cat([x.nan_to_num(), torch.zeros_like(x)], dim=2)
    packed = torch.nn.utils.rnn.pack_padded_sequence(steps, torch.tensor(lengths), True)
    _, states = encoder.units(packed)
    torch.testing.assert_close(encoder(x), states[-1])


@torch.no_grad()
def test_series_cnn_reads_a_whole_series_as_convolutions_do() -> None:
    torch.manual_seed(0)
    encoder = SeriesCNN(SPEC, channels=[4, 3], kernel=3, hidden=5).eval()
    x = torch.randn(2, 6, 2)
    maps = torch.cat([x, torch.zeros_like(x)], dim=2).mT
    for convolution in encoder.convolutions:
        maps = torch.nn.functional.max_pool1d(convolution(maps).relu(), 2, ceil_mode=True)
    tokens = encoder.encode_tokens(x)
    torch.testing.assert_close(tokens.values, maps.mT)
    assert tokens.values.shape == (2, 2, 3)
    wanted = encoder.hidden(torch.cat([maps.mean(dim=2), maps.amax(dim=2)], dim=1))
    torch.testing.assert_close(encoder(x), wanted)


@pytest.mark.parametrize("make", [GRU, SeriesCNN])
def test_a_hole_is_not_the_mean(make: type) -> None:
    torch.manual_seed(0)
    encoder = make(SPEC).eval()
    zero = torch.zeros(1, 6, 2)
    hole = zero.clone()
    hole[0, 2, 0] = NAN
    assert not encoder(hole).allclose(encoder(zero))


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel is 4; it must be odd"):
        SeriesCNN(SPEC, kernel=4)
