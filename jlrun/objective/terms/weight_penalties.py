"""Penalties on weights that are selected by name: L1, L2, soft orthogonality."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from jlrun.errors import UserError
from jlrun.objective.terms.base import StepView, Term, no_loss, total
from jlrun.ranges import NonNegativeFloat


class WeightSelection:
    """Weights whose name matches a pattern.

    Weights are parameters with two dimensions or more and a name that ends in ``weight``: biases,
    the scales and shifts of normalisation layers, tokens and position embeddings are none, as in
    the usual practice of weight decay.

    Args:
        pattern: regular expression, searched anywhere in names such as ``heads.digit.weight`` or
            ``body.trunk.encoders.image.convolutions.0.weight``: ``heads.digit`` selects that task's
            head, ``encoders`` all encoders, the empty pattern everything.

    Raises:
        UserError: if the pattern is not a regular expression.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        try:
            self._expression = re.compile(pattern)
        except re.error as error:
            raise UserError.of(
                "terms", f"parameters='{pattern}' is not a regular expression: {error}"
            ) from error

    def of(self, model: nn.Module) -> list[Tensor]:
        """Return the selected weights of ``model`` that train; may be empty."""
        return [w for name, w in _weights(model).items() if self._matches(name) and w.requires_grad]

    def check(self, model: nn.Module) -> None:
        """Check that the pattern matches a weight.

        Raises:
            UserError: if it matches no weight of ``model``, frozen or not.
        """
        names = list(_weights(model))
        if not any(self._matches(name) for name in names):
            raise UserError.of(
                "terms",
                f"parameters='{self.pattern}' matches no weight of the model. Its weights are "
                f"named: {', '.join(_sample(names))}",
            )

    def _matches(self, name: str) -> bool:
        return self._expression.search(name) is not None


def _weights(model: nn.Module) -> Mapping[str, nn.Parameter]:
    return {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.dim() >= 2 and name.endswith("weight")
    }


def _sample(names: Sequence[str], limit: int = 8) -> Sequence[str]:
    """Return at most ``limit`` names, from both ends: encoders come first, heads last."""
    if len(names) <= limit:
        return names
    return [*names[: limit // 2], "…", *names[-limit // 2 :]]


class L1(Term):
    """R = Σ |w| over the selected weights, which makes many of them nearly zero.

    Subgradient steps come close to zero but do not stay there.

    Args:
        weight: strength α of the term.
        parameters: regular expression found in the names of the weights, for example
            ``heads.digit``; biases and normalisation are never among them (`WeightSelection`).
    """

    def __init__(self, weight: NonNegativeFloat = 1e-5, parameters: str = "") -> None:
        super().__init__()
        self.weight = weight
        self.selection = WeightSelection(parameters)

    def check(self, model: nn.Module) -> None:
        self.selection.check(model)

    def forward(self, view: StepView) -> Tensor:
        return total((w.abs().sum() for w in self.selection.of(view.model)), view)


class L2(Term):
    """R = Σ w² over the selected weights.

    Each task can have its own strength α_k, by one copy of the term per task under its own name:
    ``+terms.l2_digit={_target_: jlrun.objective.terms.L2, parameters: heads.digit, weight: 1e-3}``.

    Args:
        weight: strength α of the term. The gradient is 2αw: α = d/2 acts like weight decay d in
            plain SGD.
        parameters: regular expression found in the names of the weights, for example
            ``heads.digit``; biases and normalisation are never among them (`WeightSelection`).
    """

    def __init__(self, weight: NonNegativeFloat = 1e-4, parameters: str = "") -> None:
        super().__init__()
        self.weight = weight
        self.selection = WeightSelection(parameters)

    def check(self, model: nn.Module) -> None:
        self.selection.check(model)

    def forward(self, view: StepView) -> Tensor:
        return total((w.square().sum() for w in self.selection.of(view.model)), view)


class Orthogonal(Term):
    """R = Σ ‖WWᵀ − I‖²_F over the selected weights, each as a matrix (outputs, everything else).

    Soft orthogonality of Bansal et al., "Can We Gain More from Orthogonality Regularizations in
    Training Deep CNNs?", NeurIPS 2018. Differs from it in: the smaller of WWᵀ and WᵀW is
    taken, as only that one can be the identity.

    Args:
        weight: strength α of the term.
        parameters: regular expression found in the names of the weights, for example
            ``encoders``; biases and normalisation are never among them (`WeightSelection`).
    """

    def __init__(self, weight: NonNegativeFloat = 1e-4, parameters: str = "") -> None:
        super().__init__()
        self.weight = weight
        self.selection = WeightSelection(parameters)

    def check(self, model: nn.Module) -> None:
        self.selection.check(model)

    def forward(self, view: StepView) -> Tensor:
        weights = self.selection.of(view.model)
        # in half precision the products would be too coarse to compare with 1
        with torch.autocast(no_loss(view).device.type, enabled=False):
            return total((_distance(w.flatten(1)) for w in weights), view)


def _distance(matrix: Tensor) -> Tensor:
    rows, columns = matrix.shape
    wide = matrix if rows <= columns else matrix.T
    gramian = wide @ wide.T
    return (gramian - torch.eye(len(wide), dtype=wide.dtype, device=wide.device)).square().sum()
