"""Encoders of a config by modality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

KINDS = ("image", "audio", "text", "tabular", "series")

Node = TypeVar("Node")


def kind_of(modality: str) -> str:
    """Return the kind of inputs that a modality has, by its name.

    A modality is called by its kind (``image``), or, where a data set has several of one kind, by
    the kind and a suffix: ``image_front``, ``image_back``.
    """
    kind = modality.partition("_")[0]
    return kind if kind in KINDS else modality


def backbone_key(backbone: Mapping[str, object], modality: str) -> str:
    """Return the key of a modality's encoder in ``backbone``: its own name, or its kind."""
    return modality if modality in backbone else kind_of(modality)


def backbone_of(backbone: Mapping[str, Node], modality: str) -> Node:
    """Return the node of a modality's encoder."""
    return backbone[backbone_key(backbone, modality)]
