"""Size of image encoders that follows from the training rows of tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jlrun.config.nodes import backbone_key, data_nodes

_CNN = "jlrun.models.encoders.CNN"
# Training rows up to which convolutions have this size (`benchmarks/results/image_encoders.md`);
# beyond, they are those of textbooks.
_SIZES: tuple[tuple[int, Mapping[str, Any]], ...] = (
    (500, {"channels": [16, 32, 64], "hidden": 64, "batch_norm": True, "positions": 4}),
    (10_000, {"channels": [32, 64, 128], "hidden": 128, "batch_norm": True, "positions": 4}),
)
_USUAL = {"channels": [64, 128], "hidden": 512, "batch_norm": False, "positions": 8}


def encoder_values(
    config: Mapping[str, Any], num_rows: int | None, auto: str
) -> dict[str, dict[str, Any]]:
    """Return encoder -> its values that are ``auto``, as training rows decide them.

    Args:
        config: plain and resolved.
        num_rows: training rows of all tables; None: the usual values.
        auto: the word.
    """
    fitting = (values for most, values in _SIZES if num_rows is not None and num_rows <= most)
    values = next(fitting, _USUAL)
    nodes = config.get("backbone")
    asked = {
        name: {k: v for k, v in values.items() if node.get(k) == auto}
        for name, node in (nodes.items() if isinstance(nodes, Mapping) else ())
        if isinstance(node, Mapping) and node.get("_target_") == _CNN
    }
    return {name: found for name, found in asked.items() if found}


def encoders_in_use(config: Mapping[str, Any]) -> set[str]:
    """Return the keys of the encoders of all modalities of the data sets."""
    offers = (node.get("modalities") for node in data_nodes(config).values())
    names = {str(name) for offer in offers if isinstance(offer, list) for name in offer}
    return {backbone_key(config["backbone"], name) for name in names}
