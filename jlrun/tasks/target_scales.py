"""Scales on which skewed regression targets are learned, and the way back."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist
from typing import Literal

import torch
from torch import Tensor

ScaleName = Literal["auto", "none", "log", "quantile"]

# A scale as plain numbers, as they are kept with a model: none; the unit of a logarithm; or the
# quantiles of a map to normal scores.
Scale = tuple[float, ...]
LINEAR: Scale = ()

_MOST_KNOTS = 257
_LARGEST = 80.0  # natural logarithms that float32 still takes back
_SKEWED = 3.0  # skewness from which on `auto` takes the logarithm


def scale_of(values: Tensor, name: ScaleName) -> Scale:
    """Return the scale of training targets.

    ``auto`` is the logarithm for targets that are nowhere negative and have a skewness above 3,
    which the logarithm lowers; none for all others.

    Args:
        values: of the training rows, float64 ``(N,)``, finite.
        name: of the scale.
    """
    if name == "none" or len(values) < 3 or bool((values == values[0]).all()):
        return LINEAR
    if name == "quantile":
        return _quantiles(values)
    typical = values.abs()[values != 0].median().item()
    if name == "log":
        return (typical,)
    skewed = bool((values >= 0).all()) and skewness(values) > _SKEWED
    better = skewed and abs(skewness(to_scale(values, (typical,)))) < skewness(values)
    return (typical,) if better else LINEAR


def skewness(values: Tensor) -> float:
    """Return the third standardised moment of values ``(N,)`` that are not all equal."""
    z = (values - values.mean()) / values.std(correction=0)
    return float(z.pow(3).mean())


def to_scale(values: Tensor, scale: Scale) -> Tensor:
    """Return values on a scale: y, sign(y) ln(1 + |y| / s), or the normal score of y."""
    if not scale:
        return values
    if len(scale) == 1:
        return values.sign() * (values.abs() / scale[0]).log1p()
    knots, scores = _knots(scale, values)
    return _interpolated(values, knots, scores)


def from_scale(values: Tensor, scale: Scale) -> Tensor:
    """Return the inverse of `to_scale`."""
    if not scale:
        return values
    if len(scale) == 1:
        return values.sign() * scale[0] * values.abs().clamp(max=_LARGEST).expm1()
    knots, scores = _knots(scale, values)
    return _interpolated(values, scores, knots)


def _quantiles(values: Tensor) -> Scale:
    count = min(_MOST_KNOTS, len(values))
    ranked = values.sort().values
    places = torch.linspace(0, len(values) - 1, count).round().long()
    found = ranked[places].unique()
    return tuple(found.tolist())


def _knots(scale: Scale, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return quantiles ``(K,)`` and their normal scores."""
    knots = torch.tensor(scale, dtype=torch.float64)
    scores = torch.tensor(_normal_scores(len(scale)), dtype=torch.float64)
    return knots.to(like), scores.to(like)


@lru_cache(maxsize=8)
def _normal_scores(count: int) -> tuple[float, ...]:
    """Return the quantiles of a standard normal distribution at (i + 1/2) / count.

    Numbers and not a tensor: a program that is exported then holds them, not their computation.
    """
    normal = NormalDist()
    return tuple(normal.inv_cdf((i + 0.5) / count) for i in range(count))


def _interpolated(x: Tensor, xs: Tensor, ys: Tensor) -> Tensor:
    """Return the piecewise linear function through the points, its last pieces going on."""
    right = torch.searchsorted(xs, x.contiguous()).clamp(1, len(xs) - 1)
    left = right - 1
    slope = (ys[right] - ys[left]) / (xs[right] - xs[left])
    return ys[left] + slope * (x - xs[left])
