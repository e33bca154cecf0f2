"""Scores by hand, and from another library."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from jlrun.evaluation.validators import (
    BNM,
    DEV,
    SND,
    Entropy,
    Evidence,
    InformationMaximization,
    SourceAccuracy,
)
from jlrun.evaluation.validators.dev import control_variate_risk, density_ratio, selected_l2
from tests.evaluation.validators.clusters import D, K, clusters

QUARTER = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)  # entropy of (3/4, 1/4)
SURE = 100.0


def target(probabilities: list[list[float]]) -> Evidence:
    logits = torch.tensor(probabilities).log()
    return replace(clusters(), target_logits=logits, target_features=torch.zeros(len(logits), D))


def collapsed() -> Evidence:
    return target([[1 - 2e-6, 1e-6, 1e-6]] * 9)


# Scores by hand


def test_two_rows_that_lean_to_a_class_each() -> None:
    evidence = target([[0.75, 0.25], [0.25, 0.75]])
    assert Entropy().score(evidence) == pytest.approx(-QUARTER, abs=1e-6)
    expected = math.log(2) - QUARTER
    assert InformationMaximization().score(evidence) == pytest.approx(expected, abs=1e-6)
    # Singular values 1 and 1/2, of at most √(2·2)
    assert BNM().score(evidence) == pytest.approx(0.75, abs=1e-6)


def test_a_collapse_to_one_class() -> None:
    assert InformationMaximization().score(collapsed()) == pytest.approx(0, abs=1e-6)
    assert Entropy().score(collapsed()) == pytest.approx(0, abs=1e-4), "rewarded, as documented"
    assert BNM().score(collapsed()) == pytest.approx(1 / math.sqrt(3), abs=1e-4)
    assert SND().score(collapsed()) == pytest.approx(math.log(8)), "rewarded, as documented"


def test_balanced_classes_without_doubt_are_the_best() -> None:
    logits = SURE * torch.eye(K).repeat(3, 1)
    evidence = replace(clusters(), target_logits=logits, target_features=torch.zeros(9, D))
    assert InformationMaximization().score(evidence) == pytest.approx(math.log(K))
    assert Entropy().score(evidence) == pytest.approx(0)
    assert BNM().score(evidence) == pytest.approx(1)
    one_row = replace(evidence, target_logits=logits[:1], target_features=torch.zeros(1, D))
    assert BNM().score(one_row) == pytest.approx(1)
    # Two neighbours at distance 0 share all the probability: e^(-20) is left for the others
    assert SND().score(evidence) == pytest.approx(math.log(2), abs=1e-6)


def test_neighbourhoods_of_two_rows_of_one_class_and_one_of_another() -> None:
    logits = SURE * torch.eye(2)[[0, 0, 1]]
    evidence = replace(clusters(), target_logits=logits, target_features=torch.zeros(3, D))
    p = 1 / (1 + math.exp(-1))  # similarities 1 and 0, temperature 1
    pair = -p * math.log(p) - (1 - p) * math.log(1 - p)
    expected = (2 * pair + math.log(2)) / 3
    assert SND(temperature=1.0).score(evidence) == pytest.approx(expected)


def test_source_accuracy_counts() -> None:
    evidence = clusters()
    labels = evidence.source_logits.argmax(dim=1)
    labels[:3] = (labels[:3] + 1) % K
    assert SourceAccuracy().score(replace(evidence, source_labels=labels)) == pytest.approx(27 / 30)


# Deep embedded validation, by hand


def test_the_control_variate_by_hand() -> None:
    losses, weights = torch.tensor([1.0, 0.0, 1.0]), torch.tensor([2.0, 1.0, 0.5])
    # mean(wℓ) = 5/6, mean(w) = 7/6, Cov·2 = 8/6, Var·2 = 7/6: 5/6 − 8/7 · 1/6
    assert control_variate_risk(losses, weights) == pytest.approx(9 / 14)


def test_the_control_variate_as_the_paper_writes_it() -> None:
    rng = np.random.default_rng(0)
    losses, weights = rng.exponential(size=50), rng.exponential(size=50)
    weighted = weights * losses
    eta = -np.cov(weighted, weights, ddof=1)[0, 1] / np.var(weights, ddof=1)
    expected = weighted.mean() + eta * weights.mean() - eta
    found = control_variate_risk(torch.from_numpy(losses), torch.from_numpy(weights))
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weight", [1.0, 0.1])
def test_equal_weights_leave_the_weighted_mean(weight: float) -> None:
    weights = torch.full((7,), weight, dtype=torch.float64)
    weights[0] += 1e-15
    losses = torch.arange(7.0, dtype=torch.float64)
    assert control_variate_risk(losses, weights) == pytest.approx(3 * weight)


def yes(share: float, rows: int = 8) -> Tensor:
    """One feature, 1 in a share of the rows and 0 in the others."""
    return (torch.arange(rows) < share * rows).float()[:, None]


def test_the_density_ratio_of_a_yes_or_no_feature_is_that_of_its_counts() -> None:
    rows = torch.tensor([[0.0], [1.0]])
    found = density_ratio(yes(1 / 4), yes(3 / 4), rows, l2=1e-7)
    assert found.tolist() == pytest.approx([(2 / 8) / (6 / 8), (6 / 8) / (2 / 8)], rel=1e-4)
    unequal = density_ratio(yes(1 / 4), yes(3 / 4, rows=40), rows, l2=1e-7)
    assert unequal.tolist() == pytest.approx(found.tolist(), rel=1e-4), "whatever N / T"


def test_the_density_ratio_does_not_depend_on_units_and_constants() -> None:
    evidence = clusters()
    source, other = evidence.source_train_features, evidence.target_features
    rows = evidence.source_features
    scale = torch.tensor([1e-3, 1.0, 10.0, 1e4])
    before = density_ratio(source, other, rows, l2=1.0)

    def other_units(x: Tensor, last: Tensor) -> Tensor:
        return torch.cat([x * scale, last], dim=1)

    constant = torch.full((len(source), 1), 0.1)
    constant[::2] = constant[0].nextafter(torch.ones(1))  # as rounding leaves it
    after = density_ratio(
        other_units(source, constant),
        other_units(other, constant),
        other_units(rows, 5 + rows[:, :1]),
        l2=1.0,
    )
    torch.testing.assert_close(after, before, rtol=1e-4, atol=0)


def test_dev_counts_the_mistakes_that_the_target_would_show() -> None:
    labels = torch.zeros(8, dtype=torch.int64)
    rows = yes(1 / 4)
    evidence = replace(
        clusters(),
        source_train_features=rows,
        source_features=rows,
        source_labels=labels,
        source_logits=torch.cat([1 - rows, rows], dim=1),  # mistaken where the feature is 1
        target_features=yes(3 / 4),
        target_logits=torch.zeros(8, 2),
    )
    assert SourceAccuracy().score(evidence) == pytest.approx(1 - 1 / 4)
    assert DEV(l2=1e-7).score(evidence) == pytest.approx(-3 / 4, rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_dev_estimates_the_target_error_under_a_shift(seed: int) -> None:
    """Gaussians of which one of many features moves, and mistakes that depend on it."""
    generator = torch.Generator().manual_seed(seed)

    def draw(rows: int, mean: float) -> Tensor:
        x = torch.randn(rows, 128, generator=generator)
        x[:, 0] += mean
        return x

    def mistakes(x: Tensor) -> Tensor:
        chance = torch.sigmoid(1.5 * x[:, 0] - 2)
        return (torch.rand(len(x), generator=generator) < chance).double()

    train, validation, other = draw(600, 0.0), draw(2000, 0.0), draw(600, 1.0)
    losses, truth = mistakes(validation), float(mistakes(draw(20_000, 1.0)).mean())
    source = float(losses.mean())
    weights = density_ratio(train, other, validation)
    assert abs(control_variate_risk(losses, weights) - truth) < 0.6 * (truth - source)
    memorised = density_ratio(train, other, validation, l2=1.0)
    assert weights.max() < memorised.max()
    assert selected_l2(train, other) > 1


# Another library


class Model:
    """What skada takes for a deep model, on rows that hold features and logits side by side."""

    module_ = type("Module", (), {"layer_name": "features"})

    def predict_features(self, x: np.ndarray) -> np.ndarray:
        return x[:, :D]

    def predict_log_proba(self, x: np.ndarray, **_: Any) -> np.ndarray:
        return torch.from_numpy(x[:, D:]).log_softmax(dim=1).numpy()

    def predict_proba(self, x: np.ndarray, **_: Any) -> np.ndarray:
        return np.exp(self.predict_log_proba(x))


def by_skada(scorer: Any, model: Model) -> float:
    evidence = clusters()
    source = torch.cat([evidence.source_features, evidence.source_logits], dim=1)
    other = torch.cat([evidence.target_features, evidence.target_logits], dim=1)
    rows = torch.cat([source, other]).double().numpy()
    labels = np.concatenate([evidence.source_labels.numpy(), np.full(len(other), -1)])
    domains = np.repeat([1, -2], [len(source), len(other)])
    return float(scorer._score(None, model, rows, labels, sample_domain=domains))


def test_entropy_as_in_skada() -> None:
    """Theirs is the mean over rows and classes, ours the sum over classes."""
    metrics = pytest.importorskip("skada.metrics")
    expected = K * by_skada(metrics.PredictionEntropyScorer(), Model())
    assert Entropy().score(clusters()) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("temperature", [0.05, 0.1])
def test_snd_as_in_skada(temperature: float) -> None:
    """Theirs keeps a row itself, with a similarity of −1."""
    metrics = pytest.importorskip("skada.metrics")
    expected = by_skada(metrics.SoftNeighborhoodDensity(T=temperature), Model())
    assert SND(temperature).score(clusters()) == pytest.approx(expected, abs=1e-5)


def test_dev_as_in_skada() -> None:
    """Theirs splits the source itself, does not standardise, and stops further from the optimum.

    Its own loss is of shape ``(S,)`` beside weights ``(S, 1)``, whose product is a matrix: it is
    given one of shape ``(S, 1)``.
    """
    metrics = pytest.importorskip("skada.metrics")
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split

    evidence = clusters()
    order = np.arange(len(evidence.source_labels))
    train, validation = train_test_split(order, test_size=0.33, random_state=0)
    fitted = torch.cat([evidence.source_features[train], evidence.target_features])
    deviation, mean = torch.std_mean(fitted, dim=0, correction=0)
    split = replace(
        evidence,
        source_train_features=evidence.source_features[train],
        source_features=evidence.source_features[validation],
        source_logits=evidence.source_logits[validation],
        source_labels=evidence.source_labels[validation],
    )

    class Standardised(Model):
        def predict_features(self, x: np.ndarray) -> np.ndarray:
            return ((torch.from_numpy(x[:, :D]) - mean) / deviation).numpy()

    def cross_entropy(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        return -np.log(probabilities[np.arange(len(labels)), labels])[:, None]

    scorer = metrics.DeepEmbeddedValidation(
        LogisticRegression(tol=1e-10, max_iter=10_000), cross_entropy, random_state=0
    )
    expected = by_skada(scorer, Standardised())
    assert DEV(loss="cross_entropy", l2=1.0).score(split) == pytest.approx(expected, abs=1e-5)
