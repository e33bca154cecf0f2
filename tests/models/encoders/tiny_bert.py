"""A BERT of a few numbers with a tokenizer of a few subwords, as Hugging Face keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SUBWORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "##s", "sat", ",", "un"]
SUBWORDS += ["##happy", "a", "b", "o"]


def tiny_bert(folder: Path, **options: Any) -> Any:
    """Save a model and its tokenizer in ``folder``; return the model."""
    from transformers import BertConfig, BertModel

    save_tokenizer(folder)
    settings = {
        "vocab_size": len(SUBWORDS),
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 12,
    }
    model = BertModel(BertConfig(**{**settings, **options}))
    model.save_pretrained(folder)
    return model.eval()


def save_tokenizer(folder: Path, subwords: list[str] = SUBWORDS) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {token: i for i, token in enumerate(subwords)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, special)
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "mask_token": "[MASK]"}
    whole = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="[CLS]", sep_token="[SEP]", **names
    )
    whole.save_pretrained(folder)
