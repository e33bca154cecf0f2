from __future__ import annotations

import torch

from jlrun.data.specs import TextSpec
from jlrun.models.encoders import BagOfEmbeddings

SPEC = TextSpec(("zero", "one", "two"), length=4)


def test_is_the_mean_over_tokens_without_padding() -> None:
    encoder = BagOfEmbeddings(SPEC, width=8)
    table = encoder.embedding.weight
    features = encoder(torch.tensor([[2, 4, 4, 0], [3, 0, 0, 0]]))
    torch.testing.assert_close(features[0], (table[2] + 2 * table[4]) / 3)
    torch.testing.assert_close(features[1], table[3])


def test_only_padding_is_zero_and_harmless() -> None:
    encoder = BagOfEmbeddings(SPEC, width=8)
    with torch.no_grad():
        encoder.embedding.weight[0] = 7.0  # padding must not depend on this row being zero
    features = encoder(torch.tensor([[0, 0, 0, 0], [2, 0, 0, 0]]))
    assert features[0].eq(0).all()
    features.sum().backward()
    gradient = encoder.embedding.weight.grad
    assert gradient is not None
    assert gradient.isfinite().all()
    assert gradient[0].eq(0).all()


def test_order_does_not_matter() -> None:
    encoder = BagOfEmbeddings(SPEC)
    torch.testing.assert_close(
        encoder(torch.tensor([[2, 3, 4, 0]])), encoder(torch.tensor([[0, 4, 2, 3]]))
    )


def test_knows_every_token_of_the_vocabulary() -> None:
    assert BagOfEmbeddings(SPEC).embedding.num_embeddings == 3 + 2
