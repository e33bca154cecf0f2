"""Probes of frozen features: accuracy of simple classifiers on them, spread and rank.

Pure functions of features on the CPU. All compute in float64.
"""

# N, M rows;  D features;  τ temperature;  σ singular values

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_LARGEST_TRAIN = 20_000  # rows that classifiers learn from


def knn_accuracy(
    train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor, k: int = 20
) -> float:
    """Return the accuracy of the k nearest neighbours by cosine, each voting exp(cos / τ), τ=0.07.

    The online evaluation of Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance
    Discrimination", CVPR 2018, section 3.4, by scikit-learn. Differs from it in: k is 20 and not
    200, for small data sets; with fewer than k rows all vote; of rows as near as the k-th, some.

    Args:
        train: ``(N, D)``, N at least 1.
        train_labels: int64 ``(N,)``.
        test: ``(M, D)``, M at least 1.
        test_labels: int64 ``(M,)``.
        k: neighbours.
    """
    from sklearn.neighbors import KNeighborsClassifier

    def votes(distance: np.ndarray) -> np.ndarray:  # 1 − cos
        return np.exp((1 - distance) / 0.07)

    neighbours = min(k, len(train))
    model = KNeighborsClassifier(
        neighbours,
        weights=votes,  # pyright: ignore[reportArgumentType]
        metric="cosine",
        algorithm="brute",
    )
    model.fit(_array(train), _array(train_labels))
    return float(model.score(_array(test), _array(test_labels)))


def linear_accuracy(
    train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor, penalty: float = 1e-3
) -> float:
    """Return the accuracy of a linear classifier: ridge regression on ±1 targets, by scikit-learn.

    Features are standardised by the training rows; those that are constant there do not count. The
    squared weights count ``penalty`` for each row. Unlike one trained by cross-entropy it has no
    learning rate or steps on which its accuracy would depend.

    Args:
        train: ``(N, D)``, N at least 1.
        train_labels: int64 ``(N,)``.
        test: ``(M, D)``, M at least 1.
        test_labels: int64 ``(M,)``.
        penalty: above 0.
    """
    from sklearn.linear_model import RidgeClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RidgeClassifier(alpha=penalty * len(train)))
    model.fit(_array(train), _array(train_labels))
    return float(model.score(_array(test), _array(test_labels)))


def _array(x: Tensor) -> np.ndarray:
    return (x.double() if x.is_floating_point() else x).numpy()


def feature_std(features: Tensor) -> float:
    """Return the mean standard deviation of the features ``(N, D)`` of unit length, times √D.

    About 1 for features spread evenly over the sphere, 0 if all rows are alike. The measure of
    collapse of Chen and He, "Exploring Simple Siamese Representation Learning", CVPR 2021, 4.1.
    """
    unit = F.normalize(features.double(), dim=1)
    return (unit.std(dim=0, correction=0).mean() * features.shape[1] ** 0.5).item()


def effective_rank(features: Tensor) -> float:
    """Return exp(H(σ / Σσ)) of the singular values σ of features ``(N, D)``, N at least 1.

    Roy and Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007,
    which Garrido et al., "RankMe", ICML 2023, show to go with what is learned from the features.
    Features are taken as they are, not centred. From 1 (one direction) to min(N, D). Differs from
    it in: it is 0 for features that are all zero.
    """
    x = features.double()
    if len(x) > x.shape[1]:
        x = torch.linalg.qr(x, mode="r").R  # the same singular values, of a D×D matrix
    sigma = torch.linalg.svdvals(x)
    if not bool(sigma.sum() > 0):
        return 0.0
    p = sigma / sigma.sum()
    return torch.special.entr(p).sum().exp().item()


def representation_scores(
    train_features: Tensor,
    train_labels: Tensor | None,
    val_features: Tensor,
    val_labels: Tensor | None,
) -> dict[str, float]:
    """Return every measure that features and labels allow, by name.

    ``feature_std`` and ``effective_rank`` are of the validation rows; ``knn_accuracy`` and
    ``linear_accuracy`` of labelled validation rows, learned from labelled training rows, of which
    at most 20,000, evenly spaced, are read.

    Args:
        train_features: ``(N, D)``.
        train_labels: int64 ``(N,)``, negative for unlabelled rows; None: no row is labelled.
        val_features: ``(M, D)``.
        val_labels: int64 ``(M,)``, likewise.

    Returns:
        an empty dictionary if a feature is not a finite number, or without validation rows.
    """
    if not len(val_features) or not bool(val_features.isfinite().all()):
        return {}
    scores = {
        "feature_std": feature_std(val_features),
        "effective_rank": effective_rank(val_features),
    }
    if train_labels is None or val_labels is None or not bool(train_features.isfinite().all()):
        return scores
    train, known = _labelled(train_features, train_labels)
    test, wanted = _labelled(val_features, val_labels)
    if len(known) and len(wanted):
        train, known = _thinned(train), _thinned(known)
        scores["knn_accuracy"] = knn_accuracy(train, known, test, wanted)
        scores["linear_accuracy"] = linear_accuracy(train, known, test, wanted)
    return scores


def _labelled(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return features[labels >= 0], labels[labels >= 0]


def _thinned(x: Tensor) -> Tensor:
    if len(x) <= _LARGEST_TRAIN:
        return x
    return x[torch.linspace(0, len(x) - 1, _LARGEST_TRAIN).round().long()]
