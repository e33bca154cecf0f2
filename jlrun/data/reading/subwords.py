"""Tokenizers of Hugging Face."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from jlrun.errors import UserError
from jlrun.extras import import_extra

EXTRA = "huggingface"


@lru_cache(maxsize=8)
def load_tokenizer(name: str, where: str = "tokenizer") -> Any:
    """Return the tokenizer of a local folder, or the published one of that name.

    A published one is downloaded once. Its code is never run.

    Args:
        name: such as ``bert-base-uncased``, or a folder with ``tokenizer.json``.
        where: config path, for errors.

    Raises:
        UserError: if transformers is not installed, or there is no such tokenizer.
    """
    transformers = import_extra("transformers", EXTRA, where)
    try:
        return transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise UserError.of(
            where,
            f"'{name}' is neither a folder with a Hugging Face tokenizer nor the name of an "
            f"available one ({first_sentence(error)})",
        ) from error


def first_sentence(error: Exception) -> str:
    """Return the beginning of an error of another library, on one line."""
    return " ".join(str(error).split()).partition(". ")[0][:200]


def special_tokens(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the ids that a tokenizer adds before and after a text."""
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    start = next(i for i in range(len(whole)) if whole[i : i + len(plain)] == plain)
    return tuple(whole[:start]), tuple(whole[start + len(plain) :])
