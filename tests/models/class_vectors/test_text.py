"""Class vectors of text encoders, against the library that they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from jlrun.errors import UserError
from jlrun.models.class_vectors import class_vectors
from jlrun.models.class_vectors.snapshot import keep, with_kept
from tests.models.encoders.tiny_bert import SUBWORDS, save_tokenizer, tiny_bert

WHERE = "zero_shot.attributes"
CLASSES = ("cat", "the_cats", "b")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("bert")
    torch.manual_seed(0)
    return folder, tiny_bert(folder)


def ids(sentence: str) -> torch.Tensor:
    return torch.tensor([[SUBWORDS.index(token) for token in sentence.split()]])


def test_states_are_averaged_over_the_tokens_of_the_prompt(bert: tuple[Path, Any]) -> None:
    folder, model = bert
    found = class_vectors(f"text:{folder}:the {{}} sat", CLASSES, WHERE)
    assert found.attributes == tuple(map(str, range(8)))
    sentences = ("the cat sat", "the the cat ##s sat", "the b sat")
    with torch.no_grad():  # one at a time: no padding
        states = [model(ids(f"[CLS] {s} [SEP]")).last_hidden_state[0] for s in sentences]
    expected = torch.stack([state.mean(dim=0) for state in states])
    torch.testing.assert_close(found.values, expected, rtol=1e-5, atol=1e-6)


def test_the_prompt_is_that_of_clip_without_another(bert: tuple[Path, Any]) -> None:
    folder, _ = bert
    plain = class_vectors(f"text:{folder}", CLASSES, WHERE).values
    given = class_vectors(f"text:{folder}:a photo of a {{}}.", CLASSES, WHERE).values
    assert torch.equal(plain, given)


def test_a_model_of_images_and_texts_gives_its_projections(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    save_tokenizer(tmp_path)
    sizes = {
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    # The end of a text is where its ids are largest, in the models of the paper.
    text = {**sizes, "vocab_size": len(SUBWORDS), "max_position_embeddings": 12, "eos_token_id": 2}
    image = {**sizes, "image_size": 8, "patch_size": 4}
    torch.manual_seed(0)
    config = transformers.CLIPConfig(text_config=text, vision_config=image, projection_dim=5)
    model = transformers.CLIPModel(config).eval()
    model.save_pretrained(tmp_path)
    found = class_vectors(f"text:{tmp_path}:{{}}", ("cat", "the_cats"), WHERE).values
    assert found.shape == (2, 5)
    with torch.no_grad():
        for row, sentence in zip(found, ("cat", "the cat ##s"), strict=True):
            states = model.text_model(ids(f"[CLS] {sentence} [SEP]"))
            expected = model.text_projection(states.pooler_output)[0]
            torch.testing.assert_close(row, expected, rtol=1e-5, atol=1e-6)


def test_random_states_are_left_alone(bert: tuple[Path, Any]) -> None:
    folder, _ = bert
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    class_vectors(f"text:{folder}:un {{}}", CLASSES, WHERE)
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("source", ["text:", "text::a {}", "text:bert:a photo"])
def test_what_is_no_model_with_a_prompt(source: str) -> None:
    with pytest.raises(UserError, match=r"zero_shot\.attributes: .*text:MODEL or text:MODEL:PROM"):
        class_vectors(source, CLASSES, WHERE)


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(UserError, match=r"zero_shot\.attributes: .*neither a folder with a Hugg"):
        class_vectors(f"text:{tmp_path}", CLASSES, WHERE)
    save_tokenizer(tmp_path)
    with pytest.raises(UserError, match=r"zero_shot\.attributes: .*Hugging Face model in safet"):
        class_vectors(f"text:{tmp_path}", CLASSES, WHERE)


def test_a_run_keeps_what_the_encoder_said(bert: tuple[Path, Any], tmp_path: Path) -> None:
    folder, _ = bert
    node = {"_target_": "x", "attributes": f"text:{folder}", "scale": 2.0}
    assert with_kept(node, tmp_path) == node
    keep(node, CLASSES, tmp_path)
    found = with_kept(node, tmp_path)
    assert found["attributes"] == str(tmp_path / "class_vectors.npz")
    one, two = (class_vectors(n["attributes"], CLASSES[::-1], WHERE).values for n in (node, found))
    torch.testing.assert_close(one, two)
