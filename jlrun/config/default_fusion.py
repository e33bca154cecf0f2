"""Fusion of data with several modalities, where none was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jlrun.config.nodes import learned_start
from jlrun.config.options import package_folder
from jlrun.config.parts import chosen_modalities

DEFAULT = "gated"  # that of mode=multimodal


def with_fusion(
    config: Mapping[str, Any], overrides: Sequence[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return a config whose fusion takes all modalities, and a log line if it was replaced.

    Modes of one modality have ``fusion=none``. A choice of the user stays as it is, and so does the
    fusion of a model that begins with weights of another run.

    Args:
        config: complete and resolved.
        overrides: those of the user.
    """
    names = chosen_modalities(config)
    chosen = any(_key(override) == "fusion" for override in overrides)
    if chosen or len(names) < 2 or learned_start(config) or config.get("fusion") != _node("none"):
        return dict(config), []
    line = f"fusion={DEFAULT}: for {', '.join(names)} (any other overrides it)"
    return {**config, "fusion": _node(DEFAULT)}, [line]


def _key(override: str) -> str:
    """Return the top-level key that an override sets."""
    return override.partition("=")[0].lstrip("+~").partition(".")[0]


def _node(option: str) -> dict[str, Any]:
    import yaml

    file = package_folder() / "fusion" / f"{option}.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8"))
