"""Fusions that attend: what their papers say of them, and attention against PyTorch's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jlrun.models.encoders.base import Tokens
from jlrun.models.fusions import Bottleneck, CrossAttention
from jlrun.models.fusions.attention import CrossAttending, TokenSequence, positions

WIDTHS = {"image": 5, "audio": 3}


def tokens(count: int = 4) -> dict[str, Tokens]:
    generator = torch.Generator().manual_seed(0)
    return {m: Tokens(torch.randn(count, 3, w, generator=generator)) for m, w in WIDTHS.items()}


@torch.no_grad()
def test_attention_is_pytorchs() -> None:
    torch.manual_seed(0)
    ours, theirs = CrossAttending(8, heads=2), nn.MultiheadAttention(8, 2, batch_first=True)
    weights = torch.cat([ours.query.weight, ours.key_value.weight])
    theirs.in_proj_weight.copy_(weights)
    theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key_value.bias]))
    theirs.out_proj.load_state_dict(ours.proj.state_dict())
    x, context = torch.randn(3, 4, 8), torch.randn(3, 5, 8)
    real = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 1]]).bool()
    expected, _ = theirs(x, context, context, key_padding_mask=~real)
    torch.testing.assert_close(ours(x, context, real), expected)


def test_positions_are_the_papers() -> None:
    """PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i + 1) = cos of it, also for an odd width."""
    for width in (6, 5):
        found = positions(9, torch.zeros(1, 9, width))
        for i in range(width):
            angle = torch.tensor(7 / 10_000 ** ((i - i % 2) / width))
            torch.testing.assert_close(found[7, i], angle.cos() if i % 2 else angle.sin())


def test_the_mean_is_over_real_tokens() -> None:
    values = torch.tensor([[[1.0], [3.0], [torch.nan]], [[5.0], [6.0], [7.0]]])
    real = torch.tensor([[True, True, False], [False, False, False]])
    assert TokenSequence(values, real).mean().tolist() == [[2.0], [0.0]]


def exchanged(fusion: Bottleneck, of: str, by: str) -> Tensor:
    """Return how much the class token of one modality moves with the tokens of another."""
    x = tokens()
    x[by].values.requires_grad_()
    # The mean of class tokens, less the half that is the other modality's own.
    fusion.norm = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    seen: list[Tensor] = []
    fusion.layers[-1][of].register_forward_hook(lambda *call: seen.append(call[2]))  # pyright: ignore
    fusion.attend(x, {})
    seen[0][:, fusion.bottlenecks.shape[1]].sum().backward()
    grad = x[by].values.grad
    return torch.zeros(()) if grad is None else grad.abs().sum()


def test_modalities_exchange_through_the_bottlenecks_alone() -> None:
    torch.manual_seed(0)
    fusion = Bottleneck(WIDTHS, width=8, heads=2)
    assert exchanged(fusion, "image", "image") > 0
    assert exchanged(fusion, "image", "audio") > 0
    # Bottlenecks that nobody has written to carry nothing.
    first = Bottleneck(WIDTHS, width=8, heads=2)
    first.layers = first.layers[:1]
    assert exchanged(first, "image", "image") > 0
    assert exchanged(first, "image", "audio") == 0


@torch.no_grad()
def test_without_others_a_bottleneck_is_a_transformer_of_one_modality() -> None:
    torch.manual_seed(0)
    fusion, x = Bottleneck(WIDTHS, width=8, heads=2), tokens()
    found = fusion.attend(x, {"audio": torch.zeros(4).bool()})
    sequence = fusion.embedding(x, {})["image"]
    start = [p.expand(4, -1, -1) for p in (fusion.bottlenecks, fusion.cls_tokens["image"])]
    y = torch.cat([*start, sequence.values], dim=1)
    for layer in fusion.layers:
        y = layer["image"](y)  # pyright: ignore[reportIndexIssue]
    torch.testing.assert_close(found, fusion.norm(y[:, 4]))


@torch.no_grad()
def test_cross_attention_reads_the_others_alone() -> None:
    """With values of zero, what a modality read does not matter: its part is its own."""
    torch.manual_seed(0)
    fusion, x = CrossAttention(WIDTHS, width=8, heads=2), tokens()
    others = {**x, "audio": Tokens(x["audio"].values + 1)}
    before, after = fusion.attend(x, {}), fusion.attend(others, {})
    assert not torch.allclose(before[:, :8], after[:, :8])  # the image has read the sound
    for block in fusion.blocks["image"]:  # pyright: ignore[reportGeneralTypeIssues]
        block.attn.key_value.weight[8:] = 0  # pyright: ignore
    before, after = fusion.attend(x, {}), fusion.attend(others, {})
    torch.testing.assert_close(before[:, :8], after[:, :8])


@torch.no_grad()
def test_an_absent_modality_is_a_learned_vector_and_is_not_read() -> None:
    torch.manual_seed(0)
    fusion, x = CrossAttention(WIDTHS, width=8, heads=2), tokens()
    fusion.absent["audio"].copy_(torch.arange(8.0))
    found = fusion.attend(x, {"audio": torch.tensor([True, False, True, False])})
    assert found[1, 8:].tolist() == found[3, 8:].tolist() == list(range(8))
    nothing = fusion.nothing.expand(4, -1, -1)
    own = fusion.embedding(x, {})["image"]
    for block in fusion.blocks["image"]:  # pyright: ignore[reportGeneralTypeIssues]
        alone = block(own.values, nothing, torch.ones(4, 1).bool())
    torch.testing.assert_close(found[1, :8], fusion.norms["image"](alone)[1].mean(dim=0))
