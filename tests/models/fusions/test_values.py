"""Values worked out by hand, or by a formula written in another way."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jlrun.models.fusions import Concat, Gated, Late, Sum

WIDTHS = {"image": 2, "audio": 1}
IMAGE = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
AUDIO = torch.tensor([[10.0], [20.0], [30.0]])
FEATURES = {"image": IMAGE, "audio": AUDIO}
PRESENT = {
    "image": torch.tensor([True, False, True]),
    "audio": torch.tensor([True, True, False]),
}


def fill(layer: nn.Module, weight: list[list[float]], bias: list[float]) -> None:
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.copy_(torch.tensor(bias))


def assert_rows(found: Tensor, expected: list[list[float]]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32))


def test_concat_puts_tokens_in_the_gaps() -> None:
    fusion = Concat(WIDTHS)
    with torch.no_grad():
        fusion.tokens["image"].copy_(torch.tensor([-1.0, -2.0]))
        fusion.tokens["audio"].copy_(torch.tensor([-3.0]))
    assert_rows(fusion(FEATURES, PRESENT), [[1, 2, 10], [-1, -2, 20], [5, 6, -3]])


def test_sum_and_mean_of_projections() -> None:
    for reduce, both in (("mean", [6.0 + 0.5]), ("sum", [13.0])):
        fusion = Sum(WIDTHS, width=1, reduce=reduce)  # pyright: ignore
        fill(fusion.projections["image"], [[1, 1]], [0])
        fill(fusion.projections["audio"], [[1]], [0])
        assert_rows(fusion(FEATURES, PRESENT), [both, [20], [11]])


def test_gates_are_a_softmax_over_what_is_present() -> None:
    fusion = Gated(WIDTHS, width=2)
    fill(fusion.projections["image"], [[0.1, 0], [0.1, 0]], [0, 0])
    fill(fusion.projections["audio"], [[0.1], [0.1]], [0, 0])
    fill(fusion.scores["image"], [[0, 1], [0, 0]], [0, 0])
    fill(fusion.scores["audio"], [[0], [0]], [1, 0])
    # Row 0: the first unit's scores are 2 and 1, so the image's gate is e²/(e²+e) = σ(1); those
    # of the second unit are equal. The other rows have one modality, whose gate is 1.
    gate = torch.tensor([1.0, 0.0]).sigmoid()
    tanh = torch.tensor([0.1, 1.0, 2.0, 0.5]).tanh()
    both = gate * tanh[0] + (1 - gate) * tanh[1]
    expected = torch.stack([both, tanh[2].expand(2), tanh[3].expand(2)])
    torch.testing.assert_close(fusion(FEATURES, PRESENT), expected)


def test_late_averages_the_logits_of_what_is_present() -> None:
    fusion = Late(WIDTHS)
    assert_rows(fusion(FEATURES, PRESENT), [[1, 2, 10, 1, 1], [0, 0, 20, 0, 1], [5, 6, 0, 1, 0]])
    heads = {2: nn.Linear(2, 1), 1: nn.Linear(1, 1)}
    fill(heads[2], [[1, 1]], [1])
    fill(heads[1], [[1]], [2])
    head = fusion.build_head(heads.__getitem__)
    assert_rows(head(fusion(FEATURES, PRESENT)), [[(4 + 12) / 2], [22], [12]])
