"""Hyperparameters and metrics by which TensorBoard compares runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

OBJECTIVE_TAG = "objective"
TEST_TAGS = "test/"
_BOOLEANS = {"true": True, "false": False}


def is_compared(tag: str) -> bool:
    """Return whether the numbers of a tag are a metric of runs: the objective or test scores."""
    return tag == OBJECTIVE_TAG or tag.startswith(TEST_TAGS)


def hparam_values(settings: Mapping[str, Any], typed: Mapping[str, str]) -> dict[str, Any]:
    """Return key -> number, boolean or text, by which runs are compared.

    Args:
        settings: values of a config; None is left out.
        typed: texts of overrides, which replace them: numbers and booleans are such.
    """
    values = {**settings, **{key: _read(text) for key, text in typed.items()}}
    return {
        key: value if isinstance(value, bool | int | float | str) else str(value)
        for key, value in values.items()
        if value is not None
    }


def _read(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text  # JSON has no others
