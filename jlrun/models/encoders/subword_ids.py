"""Subword ids: from the token ids of a data set to those of a Hugging Face model."""

# B rows, T tokens of jlrun, S subwords of a token at most, L subwords of a text with special ones

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from jlrun.data.reading.texts import special_tokens
from jlrun.data.specs import TextSpec
from jlrun.errors import UserError

NONE = -1  # in the table, after the last subword of a token


class SubwordIds(nn.Module):
    """Maps each token to the subwords of a tokenizer, and adds the special ones around a text.

    Subwords of the same tokenizer are taken over one by one. Words, and other tokens of a data
    set's own vocabulary, are spelt; what the vocabulary lacks is the tokenizer's unknown token.

    Args:
        spec: of the texts.
        tokenizer: of the model.
        limit: most subwords of a text with the special ones; longer texts are cut.
        where: config path of the encoder, for errors.

    Raises:
        UserError: if the texts are in subwords of another tokenizer.
    """

    table: Tensor
    before: Tensor
    after: Tensor

    def __init__(self, spec: TextSpec, tokenizer: Any, limit: int, where: str) -> None:
        super().__init__()
        before, after = special_tokens(tokenizer)
        spelt = [[], [_unknown(tokenizer)], *_spellings(spec, tokenizer, where)]
        longest = max(map(len, spelt))
        rows = [ids + [NONE] * (longest - len(ids)) for ids in spelt]
        # Not in checkpoints: they follow from the spec and the tokenizer.
        self.register_buffer("table", torch.tensor(rows, dtype=torch.long), persistent=False)
        self.register_buffer("before", torch.tensor(before, dtype=torch.long), persistent=False)
        self.register_buffer("after", torch.tensor(after, dtype=torch.long), persistent=False)
        self.filler = tokenizer.pad_token_id or 0
        self.room = max(1, limit - len(before) - len(after))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ids ``(B, L)`` of token ids ``(B, T)``, and which are padding: Bool ``(B, L)``.

        L is that of the longest text of the batch.
        """
        body = _together(self.table[x].flatten(1))[:, : self.room]
        parts = (self.before.expand(len(x), -1), body, self.after.expand(len(x), -1))
        ids = _together(torch.cat(parts, dim=1))
        padding = ids == NONE
        padding[:, 0] = False  # a text without tokens, of a tokenizer without special ones
        return ids.masked_fill(ids == NONE, self.filler), padding


def _together(ids: Tensor) -> Tensor:
    """Return ids ``(B, L)`` with `NONE` moved to the end, and cut to the longest."""
    absent = ids == NONE
    order = absent.int().argsort(dim=1, stable=True)
    longest = max(1, int((~absent).sum(dim=1).max()))
    return ids.gather(1, order)[:, :longest]


def _unknown(tokenizer: Any) -> int:
    known = (tokenizer.unk_token_id, tokenizer.mask_token_id, tokenizer.eos_token_id, 0)
    return next(i for i in known if i is not None)


def _spellings(spec: TextSpec, tokenizer: Any, where: str) -> list[list[int]]:
    """Return the ids of each token of the vocabulary."""
    if spec.unit != "subword":
        # A word within a text: byte-level tokenizers encode it unlike one at the beginning.
        space = "" if spec.unit == "character" else " "
        words = [space + token for token in spec.vocabulary]
        found = tokenizer(words, add_special_tokens=False)["input_ids"] if words else []
        return [ids or [_unknown(tokenizer)] for ids in found]
    known = tokenizer.get_vocab()
    foreign = [token for token in spec.vocabulary if token not in known]
    if foreign:
        raise UserError.of(
            f"{where}.name",
            f"the texts are in subwords of '{spec.tokenizer}', which the tokenizer of the model "
            f"does not have ('{foreign[0]}' and others); use the model's own tokenizer for both",
        )
    return [[known[token]] for token in spec.vocabulary]
