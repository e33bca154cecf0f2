"""Selection of weights by name, for terms on weights."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from jlrun.errors import UserError


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
