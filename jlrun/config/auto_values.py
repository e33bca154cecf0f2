"""Values that follow from training rows: epochs, batch size, patience, image encoders.

Where such a value is ``auto``, a small table gets small batches and many epochs, which end when
validation scores no longer rise, and small encoders of images, as does a folder of few images.
Every other data set gets the usual value of its mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jlrun.config.auto_encoders import encoder_values, encoders_in_use
from jlrun.config.nodes import data_nodes, is_image_folder
from jlrun.wording import counted

AUTO = "auto"
KEYS = ("epochs", "batch_size", "patience")

_USUAL: Mapping[str, Any] = {"epochs": 10, "batch_size": 64, "patience": None}
_USUAL_EPOCHS = {"multimodal": 15, "multitask": 20}

# training rows up to which a batch has this size
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
        num_rows: training rows of all tables and folders of images; None: there are other data
            sets, or rows are not known.
    """
    encoders = encoder_values(config, num_rows, AUTO)
    config = _with_encoders(config, encoders)
    asked = [key for key in KEYS if config.get(key) == AUTO]
    usual = {**_USUAL, "epochs": _USUAL_EPOCHS.get(str(config.get("mode")), _USUAL["epochs"])}
    if num_rows is None:
        return {**config, **{key: usual[key] for key in asked}}, []
    found: dict[str, Any] = {**values_of_rows(num_rows, config.get("batch_size"))}
    if any(is_image_folder(node) for node in data_nodes(config).values()):
        found = values_of_images(num_rows, usual)
    if any(node.get("val_fraction") == 0 for node in data_nodes(config).values()):
        found["patience"] = None  # no validation score to wait for
    chosen = {key: found[key] for key in asked}
    used = encoders_in_use(config) if encoders else ()
    shown = {key: value for key, value in chosen.items() if value is not None}
    lines = [_line(shown, num_rows)] if shown else []
    lines += [
        _line(values, num_rows, f"backbone.{name}.")
        for name, values in encoders.items()
        if name in used
    ]
    return {**config, **chosen}, lines


def asks_for_rows(config: Mapping[str, Any]) -> bool:
    """Return whether a value is left to the number of training rows."""
    nodes = config.get("backbone")
    encoders = nodes.values() if isinstance(nodes, Mapping) else ()
    values = [*(config.get(key) for key in KEYS)]
    values += [v for node in encoders if isinstance(node, Mapping) for v in node.values()]
    return AUTO in [value for value in values if isinstance(value, str)]


def _with_encoders(
    config: Mapping[str, Any], values: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    if not values:
        return dict(config)
    nodes = {name: {**node, **values.get(name, {})} for name, node in config["backbone"].items()}
    return {**config, "backbone": nodes}


def _line(chosen: Mapping[str, Any], num_rows: int, where: str = "") -> str:
    from jlrun.config.nodes import shown

    values = ", ".join(f"{where}{key}={shown(value)}" for key, value in chosen.items())
    return f"{values}: by the {counted(num_rows, 'training row')} (any value overrides it)"


def values_of_rows(num_rows: int, batch_size: Any = AUTO) -> dict[str, int]:
    """Return the values for ``num_rows`` training rows; epochs fit a batch size that is given."""
    size = next((size for most, size in _BATCHES if num_rows <= most), _LARGEST_BATCH)
    given = isinstance(batch_size, int) and not isinstance(batch_size, bool) and batch_size > 0
    least, most = _EPOCHS
    wanted = _STEPS * (batch_size if given else size) // max(num_rows, 1)
    epochs = min(max(wanted, least), most)
    return {"epochs": epochs, "batch_size": size, "patience": max(5, epochs // 4)}


def values_of_images(num_rows: int, usual: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values for ``num_rows`` images: more epochs than usual where they are few."""
    size = usual["batch_size"]
    epochs = min(_STEPS * size // max(num_rows, 1), _EPOCHS[1])
    if epochs <= usual["epochs"]:
        return dict(usual)
    return {"epochs": epochs, "batch_size": size, "patience": max(5, epochs // 4)}
