"""Interpolated and averaged weights of models of one architecture."""

# α share of b, θ weights

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from jlrun.errors import UserError
from jlrun.wording import counted

Weights = Mapping[str, Tensor]


def interpolate(a: Weights, b: Weights, alpha: float) -> dict[str, Tensor]:
    """Return (1 − α) a + α b: exactly a's floats at α = 0, exactly b at α = 1.

    WiSE-FT, section 3 of Wortsman et al., "Robust Fine-tuning of Zero-Shot Models", CVPR 2022, with
    a before fine-tuning and b after. Differs from it in: float buffers such as the statistics of
    BatchNorm are interpolated too.

    Args:
        a: name -> tensor.
        b: the same names and shapes; it gives the tensors that are no floats.
        alpha: α in [0, 1].

    Raises:
        UserError: if the models differ in names or shapes or α is out of range.
    """
    if not 0 <= alpha <= 1:
        raise UserError.of("", f"alpha={alpha:g} is not between the models; expected 0 to 1")
    _check_same_shapes(a, b)
    return {name: _between(a[name], tensor, alpha) for name, tensor in b.items()}


@dataclass(frozen=True)
class Soup:
    """Result of `greedy_soup`.

    Attributes:
        weights: the mean of the members' weights.
        members: places of the members among the candidates, in the order in which they came in.
        score: of the weights.
    """

    weights: dict[str, Tensor]
    members: tuple[int, ...]
    score: float


def greedy_soup(candidates: Sequence[Weights], score: Callable[[Weights], float]) -> Soup:
    """Return the mean of the candidates that do not lower its score, tried one after another.

    Recipe 1 of Wortsman et al., "Model Soups", ICML 2022. Differs from it in: float buffers are
    averaged too, and tensors that are no floats are those of the best candidate. Sums are in
    float64.

    Args:
        candidates: of the same names and shapes, the best on validation first.
        score: the validation score of weights, higher is better; called once for each candidate. A
            score of NaN counts as worse.

    Raises:
        UserError: if there is no candidate, or they differ in names or shapes.
    """
    if not candidates:
        raise UserError.of("", "a soup needs at least one model")
    best, *others = candidates
    for other in others:
        _check_same_shapes(best, other)
    soup = Soup(dict(best), (0,), score(best))
    total = _doubled(best)
    for number, candidate in enumerate(others, start=1):
        tried = {name: part + candidate[name] for name, part in total.items()}
        mean = _mean(tried, len(soup.members) + 1, like=best)
        value = score(mean)
        if value >= soup.score:
            soup, total = Soup(mean, (*soup.members, number), value), tried
    return soup


def _between(a: Tensor, b: Tensor, alpha: float) -> Tensor:
    if not b.is_floating_point():
        return b.clone()
    # in no less than float32: half precision would round twice
    dtype = torch.promote_types(b.dtype, torch.float32)
    return torch.lerp(a.to(dtype), b.to(dtype), alpha).to(b.dtype)


def _doubled(weights: Weights) -> dict[str, Tensor]:
    return {name: t.double() for name, t in weights.items() if t.is_floating_point()}


def _mean(total: Weights, count: int, like: Weights) -> dict[str, Tensor]:
    return {
        name: (total[name] / count).to(tensor.dtype) if name in total else tensor.clone()
        for name, tensor in like.items()
    }


def _check_same_shapes(a: Weights, b: Weights) -> None:
    wrong = [n for n in a.keys() | b.keys() if n not in a or n not in b or a[n].shape != b[n].shape]
    if wrong:
        raise UserError.of(
            "",
            f"weights of different models can't be averaged: they differ in "
            f"{counted(len(wrong), 'tensor')}, such as {min(wrong)}",
        )
