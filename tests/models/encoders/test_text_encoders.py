"""text_cnn and text_transformer against their definitions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from jlrun.data.specs import TextSpec
from jlrun.errors import UserError
from jlrun.models.encoders import TextCNN, TextTransformer

SPEC = TextSpec(("a", "b", "c"), 5)


@torch.no_grad()
def test_a_filter_has_its_largest_value_over_the_windows() -> None:
    torch.manual_seed(0)
    encoder = TextCNN(SPEC, width=4, kernels=[2], filters=3).eval()
    words = encoder.embedding(torch.tensor([2, 3, 4]))
    (convolution,) = encoder.convolutions
    windows = [words[0:2], words[1:3], torch.stack([words[2], torch.zeros(4)])]
    values = [(convolution.weight * window.T).sum(dim=(1, 2)) for window in windows]
    expected = torch.stack(values).add(convolution.bias).relu().amax(dim=0)
    found = encoder(torch.tensor([[2, 3, 4, 0, 0]]))
    torch.testing.assert_close(found[0], expected)


def test_parameters_are_those_of_kim() -> None:
    # section 3.1: windows of 3, 4 and 5 with 100 maps each, dropout 0.5; embeddings of 300
    encoder = TextCNN(SPEC, width=300)
    assert encoder.out_features == 300
    assert encoder.dropout.p == 0.5
    assert sum(p.numel() for p in encoder.convolutions.parameters()) == 300 * 12 * 100 + 300


def test_the_order_of_words_matters() -> None:
    torch.manual_seed(0)
    one, two = torch.tensor([[2, 3, 4, 0, 0]]), torch.tensor([[4, 3, 2, 0, 0]])
    for encoder in (TextCNN(SPEC).eval(), TextTransformer(SPEC).eval()):
        assert not encoder(one).allclose(encoder(two), atol=1e-4)


@torch.no_grad()
def test_blocks_equal_torchs_transformer_with_padding() -> None:
    torch.manual_seed(0)
    encoder = TextTransformer(SPEC, width=8, depth=1, heads=2).eval()
    (block,) = encoder.blocks
    oracle = nn.TransformerEncoderLayer(
        8, 2, 32, activation="gelu", batch_first=True, norm_first=True, layer_norm_eps=1e-6
    ).eval()
    names = {
        "self_attn.in_proj_weight": block.attn.qkv.weight,
        "self_attn.in_proj_bias": block.attn.qkv.bias,
        "self_attn.out_proj.weight": block.attn.proj.weight,
        "self_attn.out_proj.bias": block.attn.proj.bias,
        "linear1.weight": block.mlp.fc1.weight,
        "linear1.bias": block.mlp.fc1.bias,
        "linear2.weight": block.mlp.fc2.weight,
        "linear2.bias": block.mlp.fc2.bias,
    }
    names |= {f"{n}.{k}": getattr(getattr(block, n), k) for n in ("norm1", "norm2") for k in KINDS}
    oracle.load_state_dict(names)
    tokens = torch.randn(2, 5, 8)
    padding = torch.tensor([[False] * 5, [False, False, True, True, True]])
    wanted = oracle(tokens, src_key_padding_mask=padding)
    found = block(tokens, padding)
    torch.testing.assert_close(found[~padding], wanted[~padding])


KINDS = ("weight", "bias")


def test_heads_that_do_not_divide_the_width_are_told() -> None:
    with pytest.raises(UserError, match=r"backbone\.text\.heads: 3 heads can't share"):
        TextTransformer(SPEC, width=8, heads=3)
