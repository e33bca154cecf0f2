"""Registry of the config groups: a new folder of ``conf/`` is one entry of `GROUPS`, and one field
of `jlrun.config.schema.Settings`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jlrun.config.nodes import (
    SEVERAL,
    SINGLE,
    SOURCES,
    data_nodes,
    keys_in_file,
    reserved_keys,
)
from jlrun.config.slots import (
    AUGMENT,
    BALANCE,
    DATASET,
    ENCODER,
    FINETUNING,
    FUSION,
    HEAD,
    OPTIMIZER,
    SAMPLING,
    SCHEDULER,
    SHARING,
    TASK,
    TERM,
    VALIDATOR,
    VIEWS,
    WEIGHTING,
    ZERO_SHOT_METHOD,
    Slot,
)


@dataclass(frozen=True)
class Group:
    """A config group.

    Attributes:
        name: of the folder in ``conf/``, and of the key that its options fill.
        slot: what its node builds; None: values without a class.
        many: whether it has a node for each of several names, as ``terms`` has.
        parts: key -> what the node at it builds, in a group without a slot.
        shared_keys: YAML file of keys that every option has and that are not arguments.
        mode: the only mode that has it; empty: every mode.
        strategies: the only strategies of mode=transfer that have it; empty: all.
        decisive: whether other keys and options depend on the choice.
    """

    name: str
    slot: Slot | None = None
    many: bool = False
    parts: Mapping[str, Slot] = field(default_factory=dict)
    shared_keys: str = ""
    mode: str = ""
    strategies: tuple[str, ...] = ()
    decisive: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """Top-level keys of a config that its options fill."""
        return (*SINGLE, SEVERAL, SOURCES) if self.slot is DATASET else (self.name,)


GROUPS = (
    Group("mode", decisive=True),
    Group("strategy", mode="transfer", decisive=True),
    Group("experiment", decisive=True),
    Group("optimizer", OPTIMIZER),
    Group("scheduler", SCHEDULER),
    Group("weighting", WEIGHTING, shared_keys="weighting/_gradients.yaml"),
    Group("sampling", SAMPLING, mode="multitask"),
    Group("fusion", FUSION),
    Group("balance", BALANCE),
    Group("sharing", SHARING),
    Group("heads", HEAD),
    Group("dataset", DATASET),
    Group("finetune", FINETUNING, mode="transfer", strategies=("finetune",)),
    Group("validator", VALIDATOR, mode="transfer", strategies=("adapt",)),
    Group("backbone", ENCODER, many=True),
    Group("terms", TERM, many=True),
    Group(
        "zero_shot",
        parts={"method": ZERO_SHOT_METHOD, "head": HEAD},
        mode="transfer",
        strategies=("zero_shot",),
    ),
    Group("pretraining", parts={"views": VIEWS}),
    Group("engine"),
    Group("recorder"),
    Group("diagnosis"),
    Group("missing"),
    Group("calibration"),
    Group("retrieval"),
    Group("sweep"),
)


@dataclass(frozen=True)
class Place:
    """A node with a ``_target_`` in a config.

    Attributes:
        path: config path of the node.
        node: the node.
        reserved: keys that are not arguments of its target.
    """

    path: str
    node: Mapping[str, Any]
    slot: Slot
    reserved: frozenset[str] = frozenset()


def places(config: Mapping[str, Any]) -> Iterator[Place]:
    """Yield every place with a ``_target_``, skipping what has another form."""
    for group in GROUPS:
        node = config.get(group.name)
        if group.slot is DATASET:
            yield from _data_places(config)
        elif group.slot is not None and group.many:
            for name, each in _items(node):
                yield from _place(f"{group.name}.{name}", each, group.slot)
        elif group.slot is not None:
            yield from _place(group.name, node, group.slot, keys_in_file(group.shared_keys))
        for key, each in _items(node):
            if key in group.parts:
                yield from _place(f"{group.name}.{key}", each, group.parts[key])


def gradient_keys() -> frozenset[str]:
    """Return the keys of a weighting's node that choose where gradients come from."""
    (group,) = (group for group in GROUPS if group.slot is WEIGHTING)
    return keys_in_file(group.shared_keys)


def _data_places(config: Mapping[str, Any]) -> Iterator[Place]:
    for path, node in data_nodes(config).items():
        yield from _place(path, node, DATASET, reserved_keys())
        yield from _place(f"{path}.augment", node.get("augment"), AUGMENT)
        for name, task in _items(node.get("tasks")):
            yield from _place(f"{path}.tasks.{name}", task, TASK)


def _place(
    path: str, node: Any, slot: Slot, reserved: frozenset[str] = frozenset()
) -> Iterator[Place]:
    if isinstance(node, Mapping) and isinstance(node.get("_target_"), str):
        yield Place(path, node, slot, reserved)


def _items(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        yield from node.items()
