"""Texts as TF-IDF weights of their words and pairs of words, through a wide hidden layer."""

# B rows, T tokens, V tokens of the vocabulary, F features: V tokens and the known pairs
# L = 2T − 1 features of a text at most, W width of the hidden layer

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.specs import TextSpec
from jlrun.models.encoders.base import Encoder, Tokens
from jlrun.ranges import Fraction, PositiveInt

_FIRST_TOKEN = 2  # id; below it are padding and the unknown token
# Weights of the layer per unit of its parameters, so that a rate of other layers suits it.
_GAIN = 10.0


class TfIdf(Encoder):
    """One wide ReLU layer on TF-IDF weights of tokens and pairs of neighbouring tokens.

    The wide MLP of Galke and Scherp, "Bag-of-Words vs. Graph vs. Sequence in Text Classification",
    ACL 2022. Differs from it in: pairs of tokens, and 1 + ln tf in place of tf. The weights of a
    text are (1 + ln tf) · idf, divided by their Euclidean norm; vocabulary, pairs and idf are those
    of the training texts. Only rows of the first layer that a text uses are read. A text without a
    known token has zeros as inputs.

    The layer's weights of a feature are its parameters times the square root of the share of texts
    that have it: as Adam moves all parameters alike, it would learn rare features, which each
    explain a text or two by heart, as fast as frequent ones, and accuracy falls.

    Args:
        spec: token ids ``(T,)``, with idf and pairs; without them each idf is 1.
        width: of the hidden layer and of the features ``(B, width)``.
        dropout: share of the features that are dropped in training.
    """

    idf: Tensor
    factor: Tensor
    keys: Tensor
    order: Tensor

    def __init__(self, spec: TextSpec, width: PositiveInt = 128, dropout: Fraction = 0.5) -> None:
        super().__init__()
        self.num_ids, self.vocabulary = spec.num_tokens, len(spec.vocabulary)
        self.none = self.vocabulary + len(spec.pairs)  # index of no feature, of weight 0
        idf = torch.tensor([*(spec.idf or (1.0,) * self.vocabulary), *spec.pair_idf, 0.0])
        keys = torch.tensor([a * self.num_ids + b for a, b in spec.pairs], dtype=torch.long)
        keys, order = keys.sort()
        # Not in checkpoints: they follow from the spec.
        self.register_buffer("idf", idf, persistent=False)
        self.register_buffer("factor", _factors(idf), persistent=False)
        self.register_buffer("keys", keys, persistent=False)
        self.register_buffer("order", order, persistent=False)
        self.layer = nn.Embedding(self.none + 1, width)
        self.bias = nn.Parameter(torch.zeros(width))
        nn.init.normal_(self.layer.weight, std=0.01)
        self.dropout = nn.Dropout(dropout)
        self.out_features = width

    def forward(self, x: Tensor) -> Tensor:
        features, weights = self._scaled(x)
        summed = F.embedding_bag(
            features, self.layer.weight, mode="sum", per_sample_weights=weights
        )
        return self._activate(summed)

    def encode_tokens(self, x: Tensor) -> Tokens:
        """Return a token for each feature of a text: its row of the layer times its weight."""
        features, weights = self._scaled(x)
        padding = weights == 0
        padding[:, 0] = False
        return Tokens(self.layer(features) * weights[:, :, None], padding)

    def pool(self, tokens: Tokens) -> Tensor:
        assert tokens.padding is not None
        return self._activate(tokens.values.masked_fill(tokens.padding[:, :, None], 0.0).sum(dim=1))

    def _activate(self, summed: Tensor) -> Tensor:
        return self.dropout(torch.relu(summed + self.bias))

    def _scaled(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features ``(B, L)``, and what their parameters are multiplied by."""
        features, weights = self._weighted(x)
        return features, (weights * self.factor[features]).to(self.layer.weight.dtype)

    def _weighted(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features ``(B, L)`` of token ids ``(B, T)``, and the weight of each, in order.

        A feature that occurs again has the weight 0 there.
        """
        found = torch.cat([self._tokens(x), self._pairs(x)], dim=1).sort(dim=1).values
        count = torch.searchsorted(found, found, right=True) - torch.searchsorted(found, found)
        first = F.pad(found[:, 1:] != found[:, :-1], (1, 0), value=True)
        weights = (1 + count.to(self.idf.dtype).log()) * self.idf[found] * first
        return found, F.normalize(weights, dim=1)

    def _tokens(self, x: Tensor) -> Tensor:
        return torch.where(x < _FIRST_TOKEN, self.none, x - _FIRST_TOKEN)

    def _pairs(self, x: Tensor) -> Tensor:
        if not len(self.keys):
            return x.new_full((x.shape[0], x.shape[1] - 1), self.none)
        wanted = x[:, :-1] * self.num_ids + x[:, 1:]
        place = torch.searchsorted(self.keys, wanted).clamp(max=len(self.keys) - 1)
        return torch.where(
            self.keys[place] == wanted, self.vocabulary + self.order[place], self.none
        )


def _factors(idf: Tensor) -> Tensor:
    """Return the layer's weights of each feature per unit of its parameters, of idf ``(F + 1,)``.

    They are in proportion to the root of the share of texts p; with them the squared norm of a text
    is on average Σ p · idf² · factor² / Σ p · idf² = gain².
    """
    share = torch.exp(1 - idf[:-1])  # (1 + df) / (1 + n)
    weight = share * idf[:-1].square()
    mean = (weight * share).sum() / weight.sum().clamp(min=1e-12)
    return _GAIN * F.pad((share / mean.clamp(min=1e-12)).sqrt(), (0, 1))
