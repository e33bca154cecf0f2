"""The places of a config that hold a ``_target_``, and what may stand in each.

The one registry: `jlrun.config.signatures` checks configs against it, `jlrun.config.build` what it
builds, and `jlrun.config.fitness` says what a slot takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jlrun.config.data_nodes import START, data_nodes
from jlrun.config.options import package_folder


@dataclass(frozen=True)
class Slot:
    """A place of a config.

    Attributes:
        what: what stands there, for messages.
        bases: dotted paths of classes; what stands there is derived from one of them.
        libraries: modules of other libraries whose classes may stand there.
        call: names of the arguments that what stands there is called with, where it needs no base.
        home: module of jlrun that holds what may stand there without a base, or made by a function.
        given: names of the first parameters, which the run fills in.
        parts: key -> what its node describes, for keys whose objects are made at run time, too.
    """

    what: str
    bases: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    call: tuple[str, ...] = ()
    home: str = ""
    given: tuple[str, ...] = ()
    parts: Mapping[str, Slot] = field(default_factory=dict)

    @property
    def demanded(self) -> str:
        """What a class must be to stand here."""
        return " or ".join(self.bases) or f"callable with ({', '.join(self.call)})"


_MODULE = ("torch.nn.Module",)
# Layers and networks alone: other modules of these libraries read files, or run what they get.
_NETWORKS = ("torch.nn.modules", "torchvision.models", "torchvision.ops", "timm.models")
_NETWORKS += ("timm.layers",)

ENCODER = Slot("an encoder", _MODULE, _NETWORKS, given=("spec",))
SAMPLING = Slot("a sampling", ("jlrun.data.sampling.Sampling",))
SHARING = Slot("a way of sharing", ("jlrun.models.sharing.Sharing",), given=("make_trunk", "tasks"))
FUSION = Slot("a fusion", ("jlrun.models.fusions.Fusion",), given=("features",))
HEAD = Slot("a head", _MODULE, _NETWORKS, given=("in_features", "out_features"))
WEIGHTING = Slot(
    "a weighting",
    ("jlrun.objective.weightings.LossWeighting", "jlrun.objective.weightings.GradientWeighting"),
    given=("tasks",),
)
GRADIENT_WEIGHTING = Slot(
    "a weighting of gradients", ("jlrun.objective.weightings.GradientWeighting",), given=("tasks",)
)
BALANCE = Slot(
    "a balance", ("jlrun.objective.balance.Balance",), parts={"weighting": GRADIENT_WEIGHTING}
)
TERM = Slot("a term", ("jlrun.objective.terms.Term",))
OPTIMIZER = Slot(
    "an optimizer", ("torch.optim.Optimizer",), ("torch.optim", "timm.optim"), given=("params",)
)
SCHEDULER = Slot("a schedule", call=("step", "num_steps"), home="jlrun.training.schedules")
DATASET = Slot("a data set", ("jlrun.data.dataset.Dataset",), home="jlrun.data")
AUGMENT = Slot("an augmentation", ("jlrun.data.augmentation.augment.Augment",))
TASK = Slot("a task", ("jlrun.tasks.Task",))
FINETUNING = Slot("a way of fine-tuning", ("jlrun.strategies.finetuning.Finetuning",))
VALIDATOR = Slot("a validator", ("jlrun.evaluation.validators.Validator",))
ZERO_SHOT_METHOD = Slot("a zero-shot method", ("jlrun.strategies.zero_shot.Method",))
VIEWS = Slot(
    "augmented views", call=("batch", "generator", "specs"), home="jlrun.data.augmentation.views"
)
PART = Slot("a part of a model", _MODULE, _NETWORKS)

_TOP = {
    "optimizer": OPTIMIZER,
    "scheduler": SCHEDULER,
    "heads": HEAD,
    "weighting": WEIGHTING,
    "fusion": FUSION,
    "balance": BALANCE,
    "sharing": SHARING,
    "sampling": SAMPLING,
    "finetune": FINETUNING,
    "validator": VALIDATOR,
}
_NAMED = {"backbone": ENCODER, "terms": TERM}


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
    for key, slot in _TOP.items():
        reserved = gradient_keys() if key == "weighting" else frozenset[str]()
        yield from _place(key, config.get(key), slot, reserved)
    for group, slot in _NAMED.items():
        for name, node in _items(config.get(group)):
            yield from _place(f"{group}.{name}", node, slot)
    zero_shot = config.get("zero_shot")
    if isinstance(zero_shot, Mapping):
        yield from _place("zero_shot.method", zero_shot.get("method"), ZERO_SHOT_METHOD)
        yield from _place("zero_shot.head", zero_shot.get("head"), HEAD)
    pretraining = config.get("pretraining")
    if isinstance(pretraining, Mapping):
        yield from _place("pretraining.views", pretraining.get("views"), VIEWS)
    for path, node in data_nodes(config).items():
        yield from _place(path, node, DATASET, reserved_keys())
        yield from _place(f"{path}.augment", node.get("augment"), AUGMENT)
        for name, task in _items(node.get("tasks")):
            yield from _place(f"{path}.tasks.{name}", task, TASK)


def reserved_keys() -> frozenset[str]:
    """Return the keys of a data set's node that are not arguments of its target."""
    return subset_keys() | {"tasks", "modalities", "augment", *START}


def subset_keys() -> frozenset[str]:
    """Return the keys of a data set's node that choose its rows: fields of `Subset`."""
    return _keys_of("dataset/_subset.yaml") - {"augment"}


def gradient_keys() -> frozenset[str]:
    """Return the keys of a weighting's node that say where gradients come from."""
    return _keys_of("weighting/_gradients.yaml")


def _keys_of(file: str) -> frozenset[str]:
    import yaml

    return frozenset(yaml.safe_load((package_folder() / file).read_text(encoding="utf-8")))


def _place(
    path: str, node: Any, slot: Slot, reserved: frozenset[str] = frozenset()
) -> Iterator[Place]:
    if isinstance(node, Mapping) and isinstance(node.get("_target_"), str):
        yield Place(path, node, slot, reserved)


def _items(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        yield from node.items()
