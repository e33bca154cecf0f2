"""Exported encoders of other libraries load there, and their README says what they take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from jlrun.data.reading.texts import fit_text_spec, tokenize
from jlrun.data.specs import (
    ImageSpec,
    SeriesSpec,
    Spec,
    TabularSpec,
    TextSpec,
    spec_to_json,
)
from jlrun.models.encoders import HuggingFace, Timm
from jlrun.runs.exporting import Export, loading_code, readme
from jlrun.runs.exporting.contents import describe_network, network_of
from tests.models.encoders.tiny_bert import tiny_bert

IMAGE = ImageSpec(3, 32, 32, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
RUN = {"name": "a", "mode": "transfer", "seed": 0, "selected": None}
ABOUT = {"kind": "encoder", "jlrun": "1", "run": RUN, "merged_adapters": []}


def readme_of(modality: str, spec: Spec, told: dict[str, Any]) -> str:
    fields = {"modality": modality, "out_features": 8, "spec": spec_to_json(spec)}
    return readme(Export({}, {**ABOUT, **fields, **told}))


def loaded(encoder: nn.Module, told: dict[str, Any], folder: Path) -> Any:
    """Run the README's code; return the network it builds."""
    file = folder / "model.safetensors"
    save_file({k: v.contiguous() for k, v in network_of(encoder).state_dict().items()}, file)
    scope: dict[str, Any] = {}
    code = loading_code(told["network"])
    exec(code.replace('"model.safetensors"', repr(str(file))), scope)
    assert scope["found"].unexpected_keys == []
    assert all(name.startswith("pooler.") for name in scope["found"].missing_keys)
    return scope["network"].eval()


@torch.no_grad()
def test_timm_loads_the_encoder_and_computes_the_same(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    encoder = Timm(IMAGE, "vit_tiny_patch16_224", resize=32).eval()
    told = describe_network(encoder, IMAGE, {"name": "vit_tiny_patch16_224"})
    network = loaded(encoder, told, tmp_path)
    pixels = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(told["input"][key])[:, None, None] for key in ("mean", "std"))
    own_mean, own_std = (torch.tensor(v)[:, None, None] for v in (IMAGE.mean, IMAGE.std))
    torch.testing.assert_close(
        network((pixels - mean) / std), encoder((pixels - own_mean) / own_std)
    )
    text = readme_of("image", IMAGE, told)
    assert "backbone/image=timm backbone.image.name=vit_tiny_patch16_224" in text
    assert "images of 32 × 32 pixels" in text


@torch.no_grad()
def test_transformers_loads_the_encoder_and_computes_the_same(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    tiny_bert(tmp_path / "bert")
    name = str(tmp_path / "bert")
    spec = fit_text_spec(["the cats sat"], name)
    encoder = HuggingFace(spec, name).eval()
    told = describe_network(encoder, spec, {"name": name})
    network = loaded(encoder, told, tmp_path)
    ids, padding = encoder.ids(tokenize(["the cats", "sat"], spec))
    found = network(input_ids=ids, attention_mask=(~padding).long()).last_hidden_state
    known = ~padding[:, :, None]
    mean = found.where(known, 0.0).sum(dim=1) / known.sum(dim=1)
    torch.testing.assert_close(mean, encoder(tokenize(["the cats", "sat"], spec)))
    text = readme_of("text", spec, told)
    assert f"backbone/text=huggingface backbone.text.name={name} source.weights=FOLDER" in text
    assert "the mean of its last hidden states" in text


@pytest.mark.parametrize(
    ("modality", "spec", "expected"),
    [
        (
            "tabular",
            TabularSpec(("age",), (41.5,), (2.0,), ("k",), (("x", "y"),)),
            "the cells of a row: the numbers age, minus (41.5), divided by (2), not a number where "
            "one is missing; then the categories k, each as the place of its level",
        ),
        (
            "tabular",
            TabularSpec((), (), (), ("k",), (("x",),)),
            "the cells of a row: the categories k",
        ),
        (
            "series",
            SeriesSpec(9, 1, (1.5,), (2.0,)),
            "series of 9 × 1 numbers, minus (1.5), divided",
        ),
        ("text", TextSpec(("a",), 7, "token"), "7 token ids"),
    ],
    ids=str,
)
def test_what_an_encoder_of_our_own_takes(modality: str, spec: Spec, expected: str) -> None:
    assert expected in readme_of(modality, spec, {})
    assert "yields 8 features" in readme_of(modality, spec, {})
