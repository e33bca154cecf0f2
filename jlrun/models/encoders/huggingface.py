"""Text encoders of Hugging Face's transformers."""

# B rows, L subwords of a text, D width

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from jlrun.data.reading.texts import EXTRA, first_sentence, load_tokenizer
from jlrun.data.specs import TextSpec
from jlrun.errors import UserError
from jlrun.extras import import_extra
from jlrun.models.encoders.base import Encoder, Tokens
from jlrun.models.encoders.sequences import masked_mean
from jlrun.models.encoders.subword_ids import SubwordIds

WHERE = "backbone.text"


class HuggingFace(Encoder):
    """Model of transformers' ``AutoModel``, from a local folder or by its name.

    A data set whose texts are in subwords of the same tokenizer is read as the model was trained;
    words of another vocabulary are spelt in its subwords, without the words that the vocabulary
    lacks. Only safetensors are loaded, and no code from a model repository is run. Of models that
    also decode, the encoder is taken.

    Args:
        spec: token ids ``(T,)``.
        name: of a published model, which is downloaded once, or a folder with its files.
        weights: ``pretrained``, or null: fresh.
        pool: the features are those of the first token (``cls``), or the ``mean`` of all tokens.
        frozen: whether the model stays as it is: its parameters do not train, nothing is dropped.

    Raises:
        UserError: if transformers is not installed, the model can't be had, or the texts are in
            subwords of another tokenizer.
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
        self.network: Any = _load(name, fresh=weights is None)
        config = self.network.config
        limit = min(tokenizer.model_max_length, getattr(config, "max_position_embeddings", 2**20))
        self.ids = SubwordIds(spec, tokenizer, limit, WHERE)
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
