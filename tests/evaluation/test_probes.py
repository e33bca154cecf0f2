from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.evaluation.probes import (
    effective_rank,
    feature_std,
    knn_accuracy,
    linear_accuracy,
    representation_scores,
)


def blobs(count: int, noise: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 4
    centres = torch.randn(4, 6, generator=torch.Generator().manual_seed(9))
    return centres[labels] + noise * torch.randn(count, 6, generator=generator), labels


@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("k", [1, 20])
def test_each_of_the_nearest_neighbours_votes(noise: float, k: int) -> None:
    """For the class of the largest sum of exp(cos / 0.07) over the k nearest rows."""
    (train, train_y), (test, test_y) = blobs(300, noise), blobs(200, noise, seed=1)
    cosine = F.cosine_similarity(test.double()[:, None], train.double()[None], dim=2)
    correct = 0
    for row, label in zip(cosine, test_y, strict=True):
        votes = torch.zeros(4, dtype=torch.float64)
        for neighbour in row.argsort(descending=True)[:k]:
            votes[train_y[neighbour]] += (row[neighbour] / 0.07).exp()
        correct += int(votes.argmax() == label)
    assert knn_accuracy(train, train_y, test, test_y, k) == pytest.approx(correct / 200)


@pytest.mark.parametrize("noise", [0.3, 1.0, 3.0])
def test_the_linear_probe_solves_the_normal_equations(noise: float) -> None:
    """W = (XᵀX + λ N I)⁻¹ Xᵀ Y of standardised rows and ±1 targets."""
    (train, train_y), (test, test_y) = blobs(200, noise), blobs(500, noise, seed=1)
    train[:, 2], test[:, 2] = 100 * train[:, 2] + 7, 100 * test[:, 2] + 7
    mean, std = train.double().mean(dim=0), train.double().std(dim=0, correction=0)
    x, queries = (train - mean) / std, (test - mean) / std
    y = 2 * F.one_hot(train_y).double() - 1
    ridge = 1e-3 * 200 * torch.eye(6, dtype=torch.float64)
    weight = torch.linalg.solve(x.T @ x + ridge, x.T @ (y - y.mean(dim=0)))
    predicted = (queries @ weight + y.mean(dim=0)).argmax(dim=1)
    expected = (predicted == test_y).double().mean().item()
    assert linear_accuracy(train, train_y, test, test_y) == pytest.approx(expected, abs=1e-12)


def test_constant_features_do_not_count() -> None:
    (train, train_y), (test, test_y) = blobs(200), blobs(500, seed=1)
    wide = F.pad(train, (0, 2), value=0.1), F.pad(test, (0, 2), value=1e6)
    assert linear_accuracy(wide[0], train_y, wide[1], test_y) == linear_accuracy(
        train, train_y, test, test_y
    )


def test_the_spread_of_known_features() -> None:
    signs = torch.tensor([[a, b] for a in (-3.0, 3.0) for b in (-3.0, 3.0)])
    assert feature_std(signs) == pytest.approx(1.0)  # unit length, ±1/√2 in each of 2 dimensions
    assert feature_std(torch.ones(5, 7)) == pytest.approx(0.0, abs=1e-12)
    assert feature_std(torch.zeros(5, 7)) == 0
    isotropic = torch.randn(4000, 50, generator=torch.Generator().manual_seed(0))
    assert feature_std(isotropic) == pytest.approx(1.0, abs=0.01)
    assert feature_std(1000 * isotropic) == pytest.approx(feature_std(isotropic))


def test_the_rank_of_known_features() -> None:
    assert effective_rank(torch.eye(6).repeat(3, 1)) == pytest.approx(6)
    assert effective_rank(torch.eye(6)[:4]) == pytest.approx(4)
    assert effective_rank(torch.ones(50, 6)) == pytest.approx(1, abs=1e-9)
    assert effective_rank(torch.zeros(5, 6)) == 0
    # σ = 3, 1: entropy of (3/4, 1/4)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert effective_rank(torch.diag(torch.tensor([3.0, 1.0]))) == pytest.approx(math.exp(entropy))


@pytest.mark.parametrize("count", [3, 40])
def test_the_rank_needs_only_singular_values(count: int) -> None:
    x = torch.randn(count, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    sigma = torch.linalg.svdvals(x)
    p = sigma / sigma.sum()
    assert effective_rank(x) == pytest.approx((-(p * p.log()).sum()).exp().item())
    assert effective_rank(5 * x) == pytest.approx(effective_rank(x))


def test_scores_are_what_labels_allow() -> None:
    (train, train_y), (val, val_y) = blobs(100), blobs(40, seed=1)
    geometry = {"feature_std": feature_std(val), "effective_rank": effective_rank(val)}
    everything = geometry | {
        "knn_accuracy": knn_accuracy(train, train_y, val, val_y),
        "linear_accuracy": linear_accuracy(train, train_y, val, val_y),
    }
    assert representation_scores(train, train_y, val, val_y) == everything
    assert representation_scores(train, None, val, val_y) == geometry
    assert representation_scores(train, train_y, val, None) == geometry
    assert representation_scores(train, torch.full((100,), -1), val, val_y) == geometry
    assert representation_scores(train, train_y, val[:0], val_y[:0]) == {}
    assert representation_scores(train, train_y, val * math.nan, val_y) == {}
    half = torch.where(torch.arange(100) < 50, train_y, -1)
    assert representation_scores(train, half, val, val_y)["knn_accuracy"] == knn_accuracy(
        train[:50], train_y[:50], val, val_y
    )


@pytest.mark.parametrize("rows", [1, 2])
def test_few_rows_constant_features_and_one_class(rows: int) -> None:
    labels = torch.zeros(rows, dtype=torch.long)
    for features in (torch.zeros(rows, 3), torch.ones(rows, 3), torch.eye(3)[:rows]):
        scores = representation_scores(features, labels, features, labels)
        assert scores["knn_accuracy"] == scores["linear_accuracy"] == 1
        assert all(math.isfinite(score) for score in scores.values())


def test_a_class_that_training_lacks_counts_as_wrong() -> None:
    (train, train_y), (val, val_y) = blobs(100, 0.1), blobs(40, 0.1, seed=1)
    scores = representation_scores(train, train_y, val, torch.where(val_y == 3, 7, val_y))
    assert scores["knn_accuracy"] == scores["linear_accuracy"] == 0.75


def test_half_precision_features_are_scored_alike() -> None:
    (train, train_y), (val, val_y) = blobs(100, 0.1), blobs(40, 0.1, seed=1)
    single = representation_scores(train, train_y, val, val_y)
    half = representation_scores(train.bfloat16(), train_y, val.bfloat16(), val_y)
    assert half == pytest.approx(single, rel=0.01)


def test_of_many_training_rows_some_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    (train, train_y), (val, val_y) = blobs(300), blobs(200, seed=1)
    monkeypatch.setattr("jlrun.evaluation.probes._LARGEST_TRAIN", 100)
    chosen = torch.linspace(0, 299, 100).round().long()
    scores = representation_scores(train, train_y, val, val_y)
    some = train[chosen], train_y[chosen]
    assert scores["knn_accuracy"] == knn_accuracy(*some, val, val_y)
    assert scores["linear_accuracy"] == linear_accuracy(*some, val, val_y)
