"""Text encoders of Hugging Face's transformers."""

# B rows, T token ids of a text, L subwords of a text with special ones, D width

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from jlrun.data.reading.texts import EXTRA, first_sentence, load_tokenizer, special_tokens
from jlrun.data.specs import TextSpec
from jlrun.errors import UserError
from jlrun.extras import import_extra
from jlrun.models.encoders.base import Encoder, Tokens, masked_mean

WHERE = "backbone.text"
NONE = -1  # in the place of a subword: padding


class HuggingFace(Encoder):
    """Model of transformers' ``AutoModel``, from a local folder or by its name.

    The texts of the data set must be in subwords of the model's tokenizer, so that they are read as
    in its training. Only safetensors are loaded, and no code from a model repository is run. Of
    models that also decode, the encoder is taken.

    Args:
        spec: token ids ``(T,)``.
        name: of a published model, which is downloaded once, or a folder with its files.
        weights: ``pretrained``, or null: fresh.
        pool: the features are those of the first token (``cls``), or the ``mean`` of all tokens.
        frozen: whether the model stays as it is: its parameters do not train, nothing is dropped.

    Raises:
        UserError: if transformers is not installed, the model can't be had, or the texts are not
            in subwords of its tokenizer.
    """

    def __init__(
        self,
        spec: TextSpec,
        name: str = "distilbert-base-uncased",
        weights: Literal["pretrained"] | None = "pretrained",
        pool: Literal["cls", "mean"] = "mean",
        frozen: bool = False,
    ) -> None:
        super().__init__()
        tokenizer = load_tokenizer(name, f"{WHERE}.name")
        _check_subwords(spec, tokenizer, name)
        self.network: Any = _load(name, fresh=weights is None)
        config = self.network.config
        limit = min(tokenizer.model_max_length, getattr(config, "max_position_embeddings", 2**20))
        self.ids = SubwordIds(spec, tokenizer, limit)
        self.out_features = int(config.hidden_size)
        self.pooling = pool
        self.frozen = frozen
        if frozen:
            self.network.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.encode_tokens(x))

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return the last hidden states ``(B, L, D)``, special tokens among them."""
        ids, padding = self.ids(x)
        with torch.no_grad() if self.frozen else nullcontext():
            found = self.network(input_ids=ids, attention_mask=(~padding).long())
        return Tokens(found.last_hidden_state, padding)

    def pool(self, tokens: Tokens) -> Tensor:
        return tokens.values[:, 0] if self.pooling == "cls" else masked_mean(tokens)

    def train(self, mode: bool = True) -> HuggingFace:
        super().train(mode)
        if self.frozen:
            self.network.eval()
        return self


class SubwordIds(nn.Module):
    """Token ids of a data set as ids of the model's tokenizer, with the special ones around a text.

    Args:
        spec: of the texts, in subwords of the tokenizer.
        tokenizer: of the model.
        limit: largest number of subwords of a text with the special ones; longer texts are cut.
    """

    table: Tensor
    before: Tensor
    after: Tensor

    def __init__(self, spec: TextSpec, tokenizer: Any, limit: int) -> None:
        super().__init__()
        before, after = special_tokens(tokenizer)
        known = tokenizer.get_vocab()
        ids = {"table": [NONE, _unknown(tokenizer), *(known[token] for token in spec.vocabulary)]}
        for name, values in {**ids, "before": before, "after": after}.items():
            # Not in checkpoints: they follow from the spec and the tokenizer.
            found = torch.tensor(values, dtype=torch.long)
            self.register_buffer(name, found, persistent=False)
        self.filler = tokenizer.pad_token_id or 0
        self.room = max(1, limit - len(before) - len(after))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ids ``(B, L)`` of token ids ``(B, T)``, and which are padding: Bool ``(B, L)``.

        L is that of the longest text of the batch, in a traced program that of the longest of all.
        """
        body = self.table[x[:, : self.room]]
        parts = (self.before.expand(x.shape[0], -1), body, self.after.expand(x.shape[0], -1))
        ids = _padded_at_the_end(torch.cat(parts, dim=1))
        padding = ids == NONE
        padding[:, 0] = False  # a text without tokens, of a tokenizer without special ones
        return ids.masked_fill(ids == NONE, self.filler), padding


def _padded_at_the_end(ids: Tensor) -> Tensor:
    """Return ids ``(B, L)`` with `NONE` moved to the end, and cut to the longest.

    In a traced program, whose shapes may not depend on values, nothing is cut.
    """
    present = (ids != NONE).long()
    count = present.sum(dim=1, keepdim=True)
    # By sums, as ONNX has no sort that keeps the order of equal values.
    places = torch.where(present > 0, present.cumsum(1), count + (1 - present).cumsum(1)) - 1
    moved = torch.empty_like(ids).scatter(1, places, ids)
    return moved if torch.compiler.is_compiling() else moved[:, : max(1, int(count.max()))]


def _unknown(tokenizer: Any) -> int:
    known = (tokenizer.unk_token_id, tokenizer.mask_token_id, tokenizer.eos_token_id, 0)
    return next(i for i in known if i is not None)


def _check_subwords(spec: TextSpec, tokenizer: Any, name: str) -> None:
    """Check that texts are in subwords of the model's tokenizer.

    Raises:
        UserError: if they are words, characters, or subwords of another tokenizer.
    """
    known = tokenizer.get_vocab()
    foreign = next((token for token in spec.vocabulary if token not in known), None)
    if spec.unit == "subword" and foreign is None:
        return
    kind = f"{spec.unit}s" if spec.trained is None else f"{spec.unit} subwords"
    found = (
        f"subwords of '{spec.tokenizer}', which its tokenizer does not have ('{foreign}')"
        if spec.unit == "subword"
        else f"{kind} of the data set's own vocabulary, without the rest of the text"
    )
    raise UserError.of(
        f"{WHERE}.name",
        f"'{name}' knows texts only in subwords of its own tokenizer, but these are {found}; set "
        f"dataset.text.tokenizer={name} (dataset=table), or choose backbone/text=text_transformer",
    )


def _load(name: str, fresh: bool) -> nn.Module:
    library = import_extra("transformers", EXTRA, WHERE)
    library.utils.logging.disable_progress_bar()
    try:
        if fresh:
            config = library.AutoConfig.from_pretrained(name, trust_remote_code=False)
            network = library.AutoModel.from_config(config, trust_remote_code=False)
        else:
            network = library.AutoModel.from_pretrained(
                name, use_safetensors=True, trust_remote_code=False
            )
    except (OSError, ValueError, KeyError) as error:
        raise UserError.of(
            f"{WHERE}.name",
            f"'{name}' is neither a folder with a Hugging Face model in safetensors nor the name "
            f"of one that can be had here ({first_sentence(error)})",
        ) from error
    if network.config.is_encoder_decoder:
        network = network.get_encoder()
    if getattr(network, "pooler", None) is not None:
        network.pooler = None  # a layer for the next sentence, which no feature passes
    return network.float()
