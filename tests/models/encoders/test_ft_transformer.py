"""FT-Transformer against its authors' package, and what it does with holes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from jlrun.data.specs import TabularSpec
from jlrun.errors import UserError
from jlrun.models.encoders import FTTransformer

SPEC = TabularSpec(
    ("a", "b", "c"), (0.0,) * 3, (1.0,) * 3, ("k", "l"), (("x", "y"), ("u", "v", "w"))
)
CELLS = torch.tensor([[0.3, -1.2, 2.0, 1, 3], [1.0, 0.0, -0.5, 0, 2], [0.1, 0.2, 0.3, 2, 0]])


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters of rtdl_revisiting_models.FTTransformer under our names."""
    found = {
        "tokenizer.row": state["cls_embedding.weight"],
        "tokenizer.weight": state["cont_embeddings.weight"],
        "tokenizer.missing": torch.zeros_like(state["cont_embeddings.weight"]),
        "tokenizer.bias": torch.cat([state["cont_embeddings.bias"], state["cat_embeddings.bias"]]),
        "tokenizer.categories.table.weight": torch.cat(
            [state[f"cat_embeddings.embeddings.{i}.weight"] for i in range(2)]
        ),
        "norm.weight": state["backbone.output.normalization.weight"],
        "norm.bias": state["backbone.output.normalization.bias"],
    }
    for i in range(3):
        for kind in ("weight", "bias"):
            of = f"backbone.blocks.{i}."
            parts = [state[f"{of}attention.W_{name}.{kind}"] for name in "qkv"]
            found[f"blocks.{i}.attention.qkv.{kind}"] = torch.cat(parts)
            found[f"blocks.{i}.attention.proj.{kind}"] = state[f"{of}attention.W_out.{kind}"]
            found[f"blocks.{i}.norm2.{kind}"] = state[f"{of}ffn_normalization.{kind}"]
            found[f"blocks.{i}.fc1.{kind}"] = state[f"{of}ffn.linear1.{kind}"]
            found[f"blocks.{i}.fc2.{kind}"] = state[f"{of}ffn.linear2.{kind}"]
            if i:
                found[f"blocks.{i}.norm1.{kind}"] = state[f"{of}attention_normalization.{kind}"]
    return found


@torch.no_grad()
def test_equals_the_package_of_its_authors() -> None:
    library = pytest.importorskip("rtdl_revisiting_models")
    torch.manual_seed(0)
    options = library.FTTransformer.get_default_kwargs(n_blocks=3)
    options.pop("_is_default")
    oracle = library.FTTransformer(
        n_cont_features=3, cat_cardinalities=[3, 4], d_out=2, **options
    ).eval()
    encoder = FTTransformer(SPEC).eval()
    encoder.load_state_dict(renamed(oracle.state_dict()))  # every tensor, and no other
    wanted = oracle(CELLS[:, :3], CELLS[:, 3:].long())
    found = oracle.backbone.output.linear(encoder(CELLS))
    torch.testing.assert_close(found, wanted)
    assert options["attention_dropout"] == encoder.blocks[0].attention.dropout
    assert options["ffn_dropout"] == encoder.blocks[0].dropout.p


def test_a_missing_number_has_a_vector_of_its_own() -> None:
    torch.manual_seed(0)
    tokens = FTTransformer(SPEC, width=8, heads=2).tokenizer
    with torch.no_grad():
        tokens.missing.normal_()
    x = CELLS.clone()
    x[0, 1] = torch.nan
    found = tokens(x)
    assert found.shape == (3, 6, 8)
    torch.testing.assert_close(found[0, 2], tokens.bias[1] + tokens.missing[1])
    torch.testing.assert_close(found[1], tokens(CELLS)[1])


def test_equal_levels_of_two_columns_are_told_apart() -> None:
    tokens = FTTransformer(SPEC, width=8, heads=2).tokenizer.categories
    found = tokens(torch.tensor([[0.0, 0, 0, 1, 1]]))
    torch.testing.assert_close(found[0, 0], tokens.table.weight[1])
    torch.testing.assert_close(found[0, 1], tokens.table.weight[3 + 1])


def test_heads_that_do_not_divide_the_width_are_told() -> None:
    with pytest.raises(UserError, match=r"backbone\.tabular\.heads: 3 heads can't share"):
        FTTransformer(SPEC, width=8, heads=3)
