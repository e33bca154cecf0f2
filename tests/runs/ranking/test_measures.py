"""Measures of transferability against closed forms, other libraries and the papers' bounds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import BayesianRidge

from jlrun.runs.ranking.feature_measures import (
    coding_rate,
    h_scores,
    ledoit_wolf_shrinkage,
    logme,
    one_hot,
    spectrum,
    transrate,
)
from jlrun.runs.ranking.measures import leep, nce

Array = NDArray[np.float64]


def clusters(
    seed: int = 0, per_class: int = 12, classes: int = 3, width: int = 5, gap: float = 1.0
) -> tuple[Array, NDArray[np.int64]]:
    """Gaussian classes; ``gap`` is the distance of their means from the origin in deviations."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), per_class)
    means = gap * rng.standard_normal((classes, width))
    return means[labels] + rng.standard_normal((len(labels), width)), labels


def probabilities(seed: int = 0, rows: int = 40, classes: int = 4) -> Array:
    return np.random.default_rng(seed).dirichlet(np.full(classes, 0.5), rows)


# LogME


def evidence(features: Array, y: Array) -> float:
    """The largest log density of y under N(0, I/β + F Fᵀ/α), found by a search over both."""
    gram = features @ features.T

    def negative(x: NDArray[np.floating]) -> float:
        covariance = np.exp(-x[1]) * np.eye(len(y)) + np.exp(-x[0]) * gram
        return -float(multivariate_normal(np.zeros(len(y)), covariance).logpdf(y))

    starts = [(-3.0, 0.0), (0.0, 0.0), (3.0, 2.0)]
    options = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 2000}
    found = [minimize(negative, s, method="Nelder-Mead", options=options) for s in starts]
    return -min(float(result.fun) for result in found)


@pytest.mark.parametrize(("per_class", "width"), [(12, 5), (4, 20), (6, 18)])
def test_logme_is_the_largest_evidence(per_class: int, width: int) -> None:
    x, labels = clusters(per_class=per_class, width=width)
    columns = one_hot(labels)
    expected = np.mean([evidence(x, y) for y in columns.T]) / len(labels)
    assert logme(x, columns) == pytest.approx(expected, abs=1e-8)


def test_logme_of_values_agrees_with_bayesian_ridge() -> None:
    """scikit-learn's ridge regression with flat priors of α and β maximises the same evidence."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((50, 6))
    y = x @ rng.standard_normal(6) + 0.3 * rng.standard_normal(50)
    flat = dict.fromkeys(("alpha_1", "alpha_2", "lambda_1", "lambda_2"), 0.0)
    ridge = BayesianRidge(fit_intercept=False, compute_score=True, tol=1e-12, max_iter=5000, **flat)
    expected = ridge.fit(x, y).scores_[-1] / len(y)
    assert logme(x, y[:, None]) == pytest.approx(expected, abs=1e-8)


def test_logme_of_features_that_say_nothing_is_that_of_noise_alone() -> None:
    """With m = 0 the best noise has the variance of y: ½ log(1 / 2π e v)."""
    y = np.array([1.0, 2.0, -1.0, 3.0])
    noise = -np.log(2 * np.pi * np.e * np.mean(y**2)) / 2
    assert logme(np.zeros((4, 3)), y[:, None]) == pytest.approx(noise)
    orthogonal = np.array([[1.0, 1.0, 2.0, 1 / 3]]).T  # to y: 1 + 2 - 2 + 1 = 2, so not yet
    orthogonal -= (orthogonal[:, 0] @ y / (y @ y) * y)[:, None]
    assert logme(orthogonal, y[:, None]) == pytest.approx(noise, abs=1e-9)


def test_logme_is_invariant_to_rotation_and_scale_of_the_features() -> None:
    x, labels = clusters()
    rotation = np.linalg.qr(np.random.default_rng(3).standard_normal((5, 5)))[0]
    expected = logme(x, one_hot(labels))
    assert logme(1e4 * x @ rotation, one_hot(labels)) == pytest.approx(expected, abs=1e-10)
    padded = np.hstack([x, np.zeros((len(x), 30))])
    assert logme(padded, one_hot(labels)) == pytest.approx(expected, abs=1e-10)


def test_logme_stays_finite_where_features_are_the_target() -> None:
    _, labels = clusters()
    columns = one_hot(labels)
    perfect = logme(columns, columns)
    assert np.isfinite(perfect)
    assert perfect > logme(columns + 0.01 * clusters(width=3)[0], columns)


def test_logme_refuses_a_column_without_evidence() -> None:
    with pytest.raises(ValueError, match="all zeros"):
        logme(np.ones((3, 2)), np.array([[1, 0], [0, 0], [1, 0]]))


# LEEP and NCE


def test_leep_of_a_table_worked_by_hand() -> None:
    """P̂(y, z) = [[.4, .1], [.1, .4]], both z have P̂(z) = ½: P̂(y|z) = [[.8, .2], [.2, .8]].

    Rows (.8, .2) of y = 0: .8 · .8 + .2 · .2 = .68, and the same by symmetry for y = 1.
    """
    theta = np.array([[0.8, 0.2], [0.8, 0.2], [0.2, 0.8], [0.2, 0.8]])
    assert leep(theta, np.array([0, 0, 1, 1])) == pytest.approx(np.log(0.68))


def test_nce_of_a_table_worked_by_hand() -> None:
    """z = 0 has y = 0, 0, 1; z = 1 has y = 1: −H(Y|Z) = ¾ (⅔ log ⅔ + ⅓ log ⅓) + ¼ · 0."""
    expected = 0.75 * (2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3))
    assert nce(np.array([0, 0, 0, 5]), np.array([7, 7, 9, 9])) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_leep_lies_between_its_bounds(seed: int) -> None:
    """Property 2 of Nguyen et al., 2020: NCE + mean log θ(x)_z ≤ LEEP, and 0 above."""
    theta, labels = probabilities(seed), np.random.default_rng(seed).integers(0, 3, 40)
    z = theta.argmax(axis=1)
    lower = nce(z, labels) + np.log(theta[np.arange(len(z)), z]).mean()
    assert lower <= leep(theta, labels) <= 0
    assert nce(z, labels) <= 0


def test_leep_of_certain_predictions_is_nce() -> None:
    z, labels = np.random.default_rng(0).integers(0, 4, (2, 60))
    assert leep(one_hot(z), labels) == pytest.approx(nce(z, labels))


def test_predictions_that_are_the_labels_lack_nothing() -> None:
    _, labels = clusters()
    assert leep(one_hot(labels), labels) == 0
    assert nce((labels + 1) % 3, labels) == 0, "whatever the source calls its classes"


def test_classes_that_the_source_never_predicts_do_not_count() -> None:
    theta, labels = probabilities(), np.random.default_rng(0).integers(0, 3, 40)
    more = np.hstack([np.zeros((40, 1)), theta, np.zeros((40, 2))])
    assert leep(more, labels) == pytest.approx(leep(theta, labels))


# H-score


@pytest.mark.parametrize("seed", range(3))
def test_h_score_is_the_trace_of_its_definition(seed: int) -> None:
    x, labels = clusters(seed)
    means = np.stack([x[labels == c].mean(axis=0) for c in labels])
    covariance, between = (np.cov(a, rowvar=False, bias=True) for a in (x, means))
    expected = np.trace(np.linalg.solve(covariance, between))
    assert h_scores(x, labels).plain == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("per_class", "width"), [(12, 5), (4, 30)])
def test_shrunk_h_score_is_the_trace_of_its_definition(per_class: int, width: int) -> None:
    """With the covariance that scikit-learn estimates."""
    x, labels = clusters(per_class=per_class, width=width)
    covariance, alpha = ledoit_wolf(x)
    means = np.stack([x[labels == c].mean(axis=0) for c in labels])
    between = np.cov(means, rowvar=False, bias=True)
    expected = (1 - alpha) * np.trace(np.linalg.solve(covariance, between))
    variances = spectrum(x, centred=True).energies / len(x)
    assert ledoit_wolf_shrinkage(x, variances) == pytest.approx(alpha, rel=1e-10)
    assert h_scores(x, labels).shrunk == pytest.approx(expected, rel=1e-10)


def test_h_score_is_bounded_by_classes_less_one() -> None:
    apart, labels = clusters(gap=1e4)
    assert h_scores(apart, labels).plain == pytest.approx(2, abs=1e-5)
    assert h_scores(*clusters(gap=0.0, per_class=2000)).plain < 0.01
    # As many features as rows reach the bound whatever they are; the shrunk score does not.
    noise, few = clusters(gap=0.0, per_class=4, width=40)
    assert h_scores(noise, few).plain == pytest.approx(2)
    assert h_scores(noise, few).shrunk < 1


def test_h_score_is_invariant_to_any_invertible_map() -> None:
    x, labels = clusters()
    mixing = np.random.default_rng(5).standard_normal((5, 5))
    assert h_scores(x @ mixing + 3, labels).plain == pytest.approx(
        h_scores(x, labels).plain, rel=1e-9
    )


# TransRate


def test_coding_rate_of_orthogonal_rows() -> None:
    """ZᵀZ = diag(4, 4), N = 4, ε = ½: ½ (2 log(1 + 4 / 2)) = log 3, from either side."""
    z = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert coding_rate(z, 0.5) == pytest.approx(np.log(3))
    wide = np.hstack([z, np.zeros((4, 7))])
    assert coding_rate(wide, 0.5) == pytest.approx(np.log(3))


def test_transrate_of_two_points() -> None:
    """±1 by class: R(Z) = ½ log(1 + 1/ε) of all rows and of each class, so the classes tell 0.

    With a column each, (±1, 0) and (0, ±1): ½ · 2 · log(1 + ½/ε') − ½ log(1 + 1/ε').
    """
    labels = np.array([0, 0, 1, 1])
    line = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    assert transrate(line, labels, 0.1) == pytest.approx(0)
    cross = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    expected = np.log(1 + 0.5 / 0.1) - np.log(1 + 1 / 0.1) / 2
    assert transrate(cross, labels, 0.1) == pytest.approx(expected)


def test_transrate_of_balanced_classes_is_the_authors_formula() -> None:
    x, labels = clusters()
    z = x - x.mean(axis=0)

    def rate(part: Array) -> float:
        return np.linalg.slogdet(np.eye(5) + part.T @ part / (len(part) * 1e-4))[1] / 2

    expected = rate(z) - np.mean([rate(z[labels == c]) for c in range(3)])
    assert transrate(x, labels) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_transrate_is_never_negative_and_ignores_a_shift(seed: int) -> None:
    x, _ = clusters(seed, gap=0.0)
    labels = np.random.default_rng(seed).choice(3, len(x), p=[0.8, 0.1, 0.1])
    found = transrate(x, labels)
    assert found >= 0
    assert transrate(x + 7, labels) == pytest.approx(found)


# All of them


MEASURES = {
    "logme": lambda x, y: logme(x, one_hot(y)),
    "h_score": lambda x, y: h_scores(x, y).plain,
    "shrunk_h_score": lambda x, y: h_scores(x, y).shrunk,
    "transrate": transrate,
}


@pytest.mark.parametrize("name", MEASURES)
def test_classes_further_apart_score_higher(name: str) -> None:
    scores = [MEASURES[name](*clusters(gap=gap, per_class=40)) for gap in (0.0, 1.0, 5.0)]
    assert scores == sorted(scores)
    assert len(set(scores)) == 3


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_names_of_labels_order_and_idle_features_do_not_matter(
    name: str, dtype: type[np.floating]
) -> None:
    x, labels = clusters()
    x = x.astype(dtype)
    order = np.random.default_rng(0).permutation(len(x))
    found = MEASURES[name](x, labels)
    assert MEASURES[name](x[order], 10 - 3 * labels[order]) == pytest.approx(found, rel=1e-6)
    if name == "shrunk_h_score":
        return  # its shrinkage counts all features
    idle = np.hstack([x, np.zeros((len(x), 2), dtype)])
    assert MEASURES[name](idle, labels) == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_features_tell_nothing(name: str, value: float, dtype: type[np.floating]) -> None:
    _, labels = clusters()
    found = MEASURES[name](np.full((len(labels), 4), value, dtype), labels)
    assert np.isfinite(found)
    if name != "logme":
        assert found == 0


def test_rounding_is_no_direction() -> None:
    """Of float32 features with a mean of 100, noise at the last digit spans nothing."""
    rng = np.random.default_rng(0)
    x = 100 + rng.standard_normal((60, 3)).astype(np.float32)
    noisy = np.hstack([x, np.full((60, 1), 100) * (1 + 6e-8 * rng.choice([-1, 1], (60, 1)))])
    assert len(spectrum(noisy.astype(np.float32), centred=True).energies) == 3
    assert len(spectrum(noisy, centred=True).energies) == 4
