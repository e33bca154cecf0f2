"""Categories with many levels, of which each is in few rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional as F

from jlrun.data.specs import TabularSpec
from jlrun.models.encoders import PiecewiseMLP, TabularMLP
from jlrun.models.encoders.base import Encoder
from jlrun.models.encoders.embedded_mlp import CategoryEmbedding
from jlrun.models.heads import TabM

LEVELS, CLASSES, ROWS_PER_LEVEL, EPOCHS = 200, 3, 4, 12
SPEC = TabularSpec((), (), (), ("k",), (tuple(f"k{i}" for i in range(LEVELS)),))


def test_level_moves_by_the_root_of_its_share_of_steps_times_the_gain() -> None:
    """Closed form for Adam and rare equal gradients: Σ rate · √p, times the gain."""
    torch.manual_seed(0)
    embedding = CategoryEmbedding(SPEC, width=1)
    share, steps, rate = 0.04, 400, 1e-3
    cells = torch.arange(1.0, LEVELS + 1)[:, None]
    before = embedding(cells).detach()
    optimizer = torch.optim.Adam(embedding.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        embedding(cells[torch.rand(LEVELS) < share]).sum().backward()
        optimizer.step()
    moved = (before - embedding(cells)).mean().item()
    assert moved == pytest.approx(10 * steps * rate * share**0.5, rel=0.1)
    assert moved > 5 * before.std().item()


@pytest.mark.parametrize("make", [lambda: PiecewiseMLP(SPEC, hidden=()), lambda: TabularMLP(SPEC)])
def test_four_rows_of_each_level_teach_what_logistic_regression_learns(
    make: Callable[[], Encoder],
) -> None:
    torch.manual_seed(0)
    level = torch.arange(LEVELS).repeat_interleave(2 * ROWS_PER_LEVEL)
    noise = torch.randint(CLASSES, level.shape)
    label = torch.where(
        torch.rand(len(level)) < 0.1, noise, torch.randint(CLASSES, (LEVELS,))[level]
    )
    known = torch.arange(len(level)) % 2 == 0
    one_hot = F.one_hot(level, LEVELS).numpy()
    reference = LogisticRegression(C=10).fit(one_hot[known], label[known])
    wanted = reference.score(one_hot[~known], label[~known])
    encoder = make()
    predict = trained(encoder, level[known, None] + 1.0, label[known])
    found = (predict(level[~known, None] + 1.0) == label[~known]).float().mean().item()
    assert found > wanted - 0.02


def trained(encoder: Encoder, cells: Tensor, label: Tensor) -> Callable[[Tensor], Tensor]:
    """Return cells -> classes, by the encoder and an ensemble learned at the usual rate."""
    head = TabM(encoder.out_features, CLASSES, count=8)
    model = nn.Sequential(encoder, head).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(cells)).split(64):
            logits = head.members(encoder(cells[rows]))
            loss = F.cross_entropy(logits.mT, label[rows, None].expand(-1, head.count))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model.eval()
    return lambda x: model(x).argmax(dim=1)
