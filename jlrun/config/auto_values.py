"""Values that follow from the number of rows of a table: ``epochs``, ``batch_size``, ``patience``.

Where such a value is ``auto``, a small table gets small batches and many epochs, which end when
validation scores no longer rise. Every other data set gets the usual value of its mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jlrun.config.nodes import data_nodes

AUTO = "auto"
KEYS = ("epochs", "batch_size", "patience")

_USUAL: Mapping[str, Any] = {"epochs": 10, "batch_size": 64, "patience": None}
_USUAL_EPOCHS = {"multimodal": 15, "multitask": 20}

# rows of the table up to which a batch has this size
_BATCHES = ((5_000, 64), (20_000, 128), (100_000, 256))
_LARGEST_BATCH = 512
_STEPS = 1_000  # over an epoch of all rows, where that is neither few nor many epochs
_EPOCHS = (10, 100)


def with_auto_values(
    config: Mapping[str, Any], num_rows: int | None
) -> tuple[dict[str, Any], list[str]]:
    """Return a config without ``auto``, and a log line on the values that rows decided.

    Args:
        config: plain and resolved.
        num_rows: of all tables that are learned from; None: not all data sets are tables, or their
            rows are not known.
    """
    asked = [key for key in KEYS if config.get(key) == AUTO]
    if num_rows is None:
        usual = {**_USUAL, "epochs": _USUAL_EPOCHS.get(str(config.get("mode")), _USUAL["epochs"])}
        return {**config, **{key: usual[key] for key in asked}}, []
    found: dict[str, Any] = {**values_of_rows(num_rows, config.get("batch_size"))}
    if any(node.get("val_fraction") == 0 for node in data_nodes(config).values()):
        found["patience"] = None  # no validation score to wait for
    chosen = {key: found[key] for key in asked}
    shown = {key: value for key, value in chosen.items() if value is not None}
    values = ", ".join(f"{key}={value}" for key, value in shown.items())
    lines = [f"{values}: by the {num_rows:,} rows (any value overrides it)"] if shown else []
    return {**config, **chosen}, lines


def values_of_rows(num_rows: int, batch_size: Any = AUTO) -> dict[str, int]:
    """Return the values for a table of ``num_rows``; those of a batch size that is given fit it."""
    size = next((size for most, size in _BATCHES if num_rows <= most), _LARGEST_BATCH)
    given = isinstance(batch_size, int) and not isinstance(batch_size, bool) and batch_size > 0
    least, most = _EPOCHS
    wanted = _STEPS * (batch_size if given else size) // max(num_rows, 1)
    epochs = min(max(wanted, least), most)
    return {"epochs": epochs, "batch_size": size, "patience": max(5, epochs // 4)}
