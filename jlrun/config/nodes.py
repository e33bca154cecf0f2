"""Nodes of a config: data sets with the names of their tasks, and the encoders of modalities."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from jlrun.config.options import package_folder

Config = Mapping[str, Any]

SINGLE = ("dataset", "source", "target")
SEVERAL = "datasets"
SOURCES = "sources"
# Keys of ``source`` that take weights from elsewhere, instead of training on a data set.
START = ("run", "weights")
# Keys of a data set's node on how training batches are made.
_TRAINING = frozenset(("augment", "balanced_by"))
KINDS = ("image", "audio", "text", "tabular", "series")
Node = TypeVar("Node")


def data_nodes(config: Config) -> dict[str, Config]:
    """Return config path -> data set node, of those that are there and of that form."""
    nodes = {key: config.get(key) for key in SINGLE}
    for group in (SEVERAL, SOURCES):
        several = config.get(group)
        if isinstance(several, Mapping):
            nodes |= {f"{group}.{name}": node for name, node in several.items()}
    if learned_start(config) or config.get("strategy") == "zero_shot":
        del nodes["source"]
    found = {path: node for path, node in nodes.items() if isinstance(node, Mapping)}
    return {path: n for path, n in found.items() if path != "source" or set(n) - {*START}}


def learned_start(config: Config) -> dict[str, str]:
    """Return ``run`` or ``weights`` -> path, where the source is one of these."""
    source = config.get("source")
    if not isinstance(source, Mapping):
        return {}
    return {key: str(source[key]) for key in START if source.get(key)}


def used_nodes(config: Config) -> dict[str, Config]:
    """Return the same without those of several data sets that have none of the tasks asked for."""
    asked, nodes = config.get("tasks"), data_nodes(config)
    if not isinstance(asked, list | tuple):
        return nodes
    return {
        path: node
        for path, node in nodes.items()
        if _name(path) is None or set(asked) & set(task_labels(path, node).values())
    }


def infers(node: Config) -> bool:
    """Return whether a node may leave its tasks and modalities to be inferred from its file."""
    return str(node.get("_target_")).startswith("jlrun.data.tables.")


def is_image_folder(node: Config) -> bool:
    """Return whether a node is that of a folder of images, which are counted."""
    return node.get("_target_") == "jlrun.data.datasets.imagefolder.load_imagefolder"


def task_labels(path: str, node: Config) -> dict[str, str]:
    """Return task -> its name in results and in ``tasks=[…]``.

    Among several data sets that is the name of the data set if it has one task, and
    ``<data set>.<task>`` if it has more.
    """
    tasks, name = node.get("tasks"), _name(path)
    names = [str(task) for task in tasks] if isinstance(tasks, Mapping) else []
    if name is None:
        return {task: task for task in names}
    return {task: name if len(names) == 1 else f"{name}.{task}" for task in names}


def _name(path: str) -> str | None:
    """Return the name of one of several data sets."""
    parent, _, name = path.partition(".")
    return name if parent == SEVERAL else None


def reserved_keys() -> frozenset[str]:
    """Return the keys of a data set's node that are not arguments of its target."""
    return subset_keys() | {"tasks", "modalities", *_TRAINING, *START}


def subset_keys() -> frozenset[str]:
    """Return the keys of a data set's node that choose its rows: fields of `Subset`."""
    return keys_in_file("dataset/_subset.yaml") - _TRAINING


@cache
def keys_in_file(file: str) -> frozenset[str]:
    """Return the top-level keys of a YAML file of ``conf/``; none for no file."""
    import yaml

    if not file:
        return frozenset()
    return frozenset(yaml.safe_load((package_folder() / file).read_text(encoding="utf-8")))


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


def shown(value: Any) -> str:
    """Return a value as a message shows it."""
    if isinstance(value, str):
        return f"'{value}'"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(map(str, value))}}}"
    if isinstance(value, Sequence):
        return f"[{','.join(map(str, value))}]"
    return str(value)
