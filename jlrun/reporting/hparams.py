"""Hyperparameters and metrics by which TensorBoard compares runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

OBJECTIVE_TAG = "objective"
TEST_TAGS = "test/"
_BOOLEANS = ("true", "false")


def is_compared(tag: str) -> bool:
    """Return whether the numbers of a tag are a metric of runs: the objective or test scores."""
    return tag == OBJECTIVE_TAG or tag.startswith(TEST_TAGS)


def hparam_values(settings: Mapping[str, Any], typed: Mapping[str, str]) -> dict[str, Any]:
    """Return key -> number or text, by which runs are compared.

    Booleans are texts, as PyTorch's summaries have them as 0 and 1.

    Args:
        settings: values of a config; None is left out.
        typed: texts of overrides, which replace them; those of numbers are such.
    """
    values = {**settings, **{key.removeprefix("dataset@"): text for key, text in typed.items()}}
    return {key: _plain(value) for key, value in values.items() if value is not None}


def _plain(value: Any) -> float | str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = str(value)
    if text.lower() in _BOOLEANS:
        return text.lower()
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text  # JSON has no others
