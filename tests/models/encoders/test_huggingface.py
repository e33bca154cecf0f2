"""Hugging Face's models as encoders give what transformers gives."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from jlrun.data.reading.texts import fit_text_spec, tokenize
from jlrun.data.specs import TextSpec
from jlrun.errors import UserError
from jlrun.models.encoders import HuggingFace
from tests.models.encoders.tiny_bert import SUBWORDS, save_tokenizer, tiny_bert

pytest.importorskip("transformers")

TEXTS = ["The cats sat, unhappy", "cat", "", "the zebra cat"]


def expected(folder: Path, model: torch.nn.Module) -> list[torch.Tensor]:
    """Hidden states of each text by itself, as transformers computes them: rows of features."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = []
    for text in TEXTS:
        with torch.no_grad():
            rows.append(model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0])
    return rows


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_subwords_give_what_transformers_gives(tmp_path: Path, pool: str) -> None:
    model = tiny_bert(tmp_path)
    spec = fit_text_spec(TEXTS, str(tmp_path))
    assert (spec.unit, spec.tokenizer, spec.length) == ("subword", str(tmp_path), 7)
    assert spec.vocabulary == tuple(SUBWORDS[2:])
    encoder = HuggingFace(spec, str(tmp_path), pool=pool).eval()
    found = encoder(tokenize(TEXTS, spec))
    rows = expected(tmp_path, model)
    wanted = torch.stack([row[0] if pool == "cls" else row.mean(dim=0) for row in rows])
    torch.testing.assert_close(found, wanted)


def test_a_traced_program_gives_the_same_for_any_number_of_texts(tmp_path: Path) -> None:
    tiny_bert(tmp_path)
    spec = fit_text_spec(TEXTS, str(tmp_path))
    encoder = HuggingFace(spec, str(tmp_path)).eval()
    rows = tokenize([*TEXTS, "a b", "cats", "un un"], spec)
    dynamic = ({0: torch.export.Dim("batch", min=1)},)
    program = torch.export.export(encoder, (rows,), dynamic_shapes=dynamic).module()
    for count in (1, 7):
        torch.testing.assert_close(program(rows[:count]), encoder(rows[:count]))


def test_long_texts_are_cut_with_their_end_kept(tmp_path: Path) -> None:
    tiny_bert(tmp_path, max_position_embeddings=5)
    spec = fit_text_spec(TEXTS, str(tmp_path))
    encoder = HuggingFace(spec, str(tmp_path))
    ids, padding = encoder.ids(tokenize(["cats cats, cats", "a dog", "a"], spec))
    assert [SUBWORDS[i] for i in ids[0]] == ["[CLS]", "cat", "##s", "cat", "[SEP]"]
    assert [SUBWORDS[i] for i in ids[1]] == ["[CLS]", "a", "[UNK]", "[SEP]", "[PAD]"]
    assert padding.sum(dim=1).tolist() == [0, 1, 2]
    assert encoder(torch.ones(2, 6, dtype=torch.long)).isfinite().all()


def test_frozen_stays_as_it_is(tmp_path: Path) -> None:
    tiny_bert(tmp_path)
    spec = TextSpec(("cat",), 2, "subword", str(tmp_path))
    encoder = HuggingFace(spec, str(tmp_path), frozen=True).train()
    assert not any(p.requires_grad for p in encoder.parameters())
    x = torch.tensor([[2, 1]])
    assert encoder(x).equal(encoder(x))  # nothing is dropped
    assert not encoder(x).requires_grad


def test_fresh_weights_need_no_weights_file(tmp_path: Path) -> None:
    tiny_bert(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    spec = TextSpec(("cat",), 2, "subword", str(tmp_path))
    assert HuggingFace(spec, str(tmp_path), weights=None)(torch.tensor([[2, 1]])).shape == (1, 8)
    with pytest.raises(UserError, match=r"backbone\.text\.name: .*neither a folder"):
        HuggingFace(spec, str(tmp_path))


def test_a_decoder_without_special_tokens(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2Model, PreTrainedTokenizerFast

    words = {"<|end|>": 0, "Ġcat": 1, "cat": 2, "Ġsat": 3}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<|end|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>").save_pretrained(
        tmp_path
    )
    config = GPT2Config(vocab_size=4, n_positions=8, n_embd=8, n_layer=1, n_head=2)
    GPT2Model(config).save_pretrained(tmp_path)
    spec = fit_text_spec(["cat sat dog"], str(tmp_path))
    encoder = HuggingFace(spec, str(tmp_path)).eval()
    ids, padding = encoder.ids(tokenize(["cat sat dog", "cat", ""], spec))
    assert ids[0].tolist() == [2, 3, 0]
    assert padding.tolist() == [[False] * 3, [False, True, True], [False, True, True]]
    assert encoder(tokenize(["cat sat", ""], spec)).isfinite().all()


@pytest.mark.parametrize("tokenizer", ["word", "token", "character"])
def test_texts_in_a_vocabulary_of_their_own_are_refused(tmp_path: Path, tokenizer: str) -> None:
    tiny_bert(tmp_path)
    spec = fit_text_spec(["a a"], tokenizer)  # also where the tokenizer has all of the words
    refused = rf"backbone\.text\.name: .*{tokenizer}s .*set dataset\.text\.tokenizer={tmp_path}"
    with pytest.raises(UserError, match=refused):
        HuggingFace(spec, str(tmp_path))


def test_subwords_of_another_tokenizer_are_refused(tmp_path: Path) -> None:
    tiny_bert(tmp_path / "one")
    save_tokenizer(tmp_path / "two", [*SUBWORDS, "dog"])
    spec = fit_text_spec(["dog"], str(tmp_path / "two"))
    with pytest.raises(UserError, match=r"backbone\.text\.name: .*two.* \('dog'\)"):
        HuggingFace(spec, str(tmp_path / "one"))


def test_what_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = TextSpec(("cat",), 2, "token")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"backbone\.text\.name: .*neither a folder"):
        HuggingFace(spec, str(tmp_path / "empty"))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"pip install 'jlrun\[huggingface\]'"):
        HuggingFace(spec, str(tmp_path))
