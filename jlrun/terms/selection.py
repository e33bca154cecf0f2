"""Which parameters of a model a term looks at."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from jlrun.errors import UserError


def weights_matching(model: nn.Module, pattern: str, where: str) -> Mapping[str, Tensor]:
    """Return the trained weights of ``model`` whose name ``pattern`` is found in.

    Weights are parameters with two dimensions or more: biases, the scales and shifts of
    normalisation layers, tokens and other vectors are not weights, as in the usual practice of
    weight decay. Frozen ones (``requires_grad`` is false) count as a match but are left out.

    Args:
        model: names are those of its ``named_parameters()``, for example ``heads.digit.weight``
            or ``encoders.image.convolutions.0.weight``.
        pattern: regular expression, searched anywhere in the name: ``heads.digit`` selects that
            task's head, ``^encoders`` all encoders, the empty pattern everything.
        where: config path of the pattern, for errors.

    Raises:
        UserError: if the pattern is not a regular expression, or matches no weight.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError.of(
            where, f"'{pattern}' is not a regular expression: {error}."
        ) from error
    weights = {name: w for name, w in model.named_parameters() if w.dim() >= 2}
    found = {name: w for name, w in weights.items() if expression.search(name)}
    if not found:
        names = ", ".join(_sample(list(weights)))
        raise UserError.of(
            where, f"'{pattern}' matches no weight of the model. Its weights are named: {names}."
        )
    return {name: w for name, w in found.items() if w.requires_grad}


def _sample(names: list[str], limit: int = 8) -> list[str]:
    """Return at most ``limit`` names from both ends: encoders come first, heads last."""
    if len(names) <= limit:
        return names
    return [*names[: limit // 2], "…", *names[-limit // 2 :]]
