"""Class vectors from a pretrained text encoder of the names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from jlrun.data.reading.texts import EXTRA, first_sentence, load_tokenizer
from jlrun.errors import UserError
from jlrun.extras import import_extra
from jlrun.models.class_vectors.files import Table

PREFIX = "text:"
PROMPT = "a photo of a {}."
FORM = f"{PREFIX}MODEL or {PREFIX}MODEL:PROMPT"


def text_embeddings(source: str, classes: Sequence[str], where: str) -> Table:
    """Return the embedding of a sentence for each class.

    A model with a projection of texts into a space that it shares with images (CLIP) yields that;
    of others the last hidden states are averaged over the tokens (Reimers & Gurevych,
    "Sentence-BERT", EMNLP 2019).

    Args:
        source: ``text:MODEL``, or ``text:MODEL:PROMPT``. The model is a folder or a published name
            of Hugging Face; the prompt has ``{}`` where the name of the class stands, whose
            underscores become spaces. Without one it is "a photo of a {}.", that of CLIP.
        classes: names.
        where: config path, for errors.

    Raises:
        UserError: if no model is named, the prompt has no ``{}``, transformers is not installed, or
            the model can't be had.
    """
    model, _, prompt = source.removeprefix(PREFIX).partition(":")
    prompt = prompt or PROMPT
    if not model or "{}" not in prompt:
        raise UserError.of(
            where, f"'{source}' is not {FORM}, where PROMPT has {{}} for the name, as in '{PROMPT}'"
        )
    sentences = tuple(prompt.replace("{}", name.replace("_", " ")) for name in classes)
    values = _embedded(model, sentences, where)
    return Table(tuple(classes), tuple(str(i) for i in range(values.shape[1])), values)


@lru_cache(maxsize=8)
def _embedded(name: str, sentences: tuple[str, ...], where: str) -> Tensor:
    """Return float64 ``(len(sentences), A)``; random states are left as they are."""
    tokenizer = load_tokenizer(name, where)
    with torch.random.fork_rng(), torch.no_grad():
        model = _load(name, where)
        tokens = tokenizer(list(sentences), padding=True, truncation=True, return_tensors="pt")
        if hasattr(model, "get_text_features"):
            found = model.get_text_features(**tokens)
            # Before transformers 5 it was the tensor itself.
            return (found if isinstance(found, Tensor) else found.pooler_output).double()
        encoder = model.get_encoder() if model.config.is_encoder_decoder else model
        states = encoder(**tokens).last_hidden_state.double()
    mask = tokens["attention_mask"][:, :, None]
    return (states * mask).sum(dim=1) / mask.sum(dim=1)


def _load(name: str, where: str) -> Any:
    library = import_extra("transformers", EXTRA, where)
    library.utils.logging.disable_progress_bar()
    try:
        model = library.AutoModel.from_pretrained(
            name, use_safetensors=True, trust_remote_code=False
        )
        return model.float().eval()
    except (OSError, ValueError, KeyError) as error:
        raise UserError.of(
            where,
            f"'{name}' is neither a folder with a Hugging Face model in safetensors nor the name "
            f"of one that can be had here ({first_sentence(error)})",
        ) from error
