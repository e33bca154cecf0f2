"""Trunks on whole batches, as exported programs run them: absent modalities change nothing."""

from __future__ import annotations

import pytest
import torch

from jlrun.config.build import build
from jlrun.config.slots import FUSION
from jlrun.data.batch import Batch
from jlrun.data.specs import TextSpec
from jlrun.models.encoders import Encoder
from jlrun.models.encoders.bag_of_embeddings import BagOfEmbeddings
from jlrun.models.trunk import Trunk
from tests.options import option_node
from tests.toy import ToyEncoder

ROWS = 6


def trunk(option: str) -> Trunk:
    torch.manual_seed(0)
    spec = TextSpec(("a", "b", "c"), 5)
    encoders: dict[str, Encoder] = {"wave": ToyEncoder(), "text": BagOfEmbeddings(spec, width=8)}
    widths = {name: encoder.token_features for name, encoder in encoders.items()}
    return Trunk(encoders, build(option_node("fusion", option), FUSION, widths)).eval()


@torch.no_grad()
@pytest.mark.parametrize("option", ["gated", "late", "transformer", "cross_attention"])
@pytest.mark.parametrize("wave", [[1, 0, 1, 0, 1, 1], [0] * ROWS])
def test_whole_batches_give_the_same_outputs(option: str, wave: list[int]) -> None:
    model = trunk(option)
    present = {"wave": torch.tensor(wave).bool(), "text": torch.tensor([1, 1, 0, 1, 1, 1]).bool()}
    present["text"] |= ~present["wave"]
    texts = torch.randint(1, 5, (ROWS, 5)).masked_fill(torch.rand(ROWS, 5) < 0.3, 0)
    waves = torch.randn(ROWS, 4).masked_fill(~present["wave"][:, None], torch.nan)
    batch = Batch({"wave": waves, "text": texts}, present=present)
    expected = model(batch)
    model.whole_batches = True
    found = model(batch)
    torch.testing.assert_close(found.fused, expected.fused)
    for modality, features in expected.features.items():
        torch.testing.assert_close(found.features[modality], features)
