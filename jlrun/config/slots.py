"""Slots: what each kind of node with a ``_target_`` may build.

`jlrun.config.groups` assigns them to places of a config, `jlrun.config.signatures` checks configs
against them, `jlrun.config.build` what it builds, and `jlrun.config.fitness` whether a class fits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Slot:
    """Kind of a node, and the classes that it may build.

    Attributes:
        what: its name, for messages.
        bases: dotted paths of classes, one of which an object must derive from.
        libraries: modules of other libraries whose classes are allowed.
        call: names of the arguments that the object is called with, where it needs no base.
        home: module of jlrun with the objects that have no base, or are made by a function.
        given: names of the first parameters, which the run fills in.
        parts: key -> what its node describes, for keys whose objects are made at run time, too.
        attributes: name -> meaning, of attributes that its constructor must set.
        converted: library.class of other objects that the user's own functions and classes may
            make, of which the run makes what it needs.
    """

    what: str
    bases: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    call: tuple[str, ...] = ()
    home: str = ""
    given: tuple[str, ...] = ()
    parts: Mapping[str, Slot] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    converted: tuple[str, ...] = ()

    @property
    def demanded(self) -> str:
        """Requirement on a class, for messages."""
        return " or ".join(self.bases) or f"callable with ({', '.join(self.call)})"


_MODULE = ("torch.nn.Module",)
# Layers and networks alone: other modules of these libraries read files, or run what they get.
_NETWORKS = ("torch.nn.modules", "torchvision.models", "torchvision.ops", "timm.models")
_NETWORKS += ("timm.layers",)

_WIDTH = {"out_features": "the width of what it returns"}

ENCODER = Slot("an encoder", _MODULE, _NETWORKS, given=("spec",), attributes=_WIDTH)
SAMPLING = Slot("a sampling", ("jlrun.data.sampling.Sampling",))
SHARING = Slot(
    "a way of sharing",
    ("jlrun.models.sharing.Sharing",),
    given=("make_trunk", "tasks"),
    attributes=_WIDTH,
)
FUSION = Slot("a fusion", ("jlrun.models.fusions.Fusion",), given=("features",), attributes=_WIDTH)
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
TERM = Slot(
    "a term", ("jlrun.objective.terms.Term",), attributes={"weight": "its factor in the objective"}
)
OPTIMIZER = Slot(
    "an optimizer", ("torch.optim.Optimizer",), ("torch.optim", "timm.optim"), given=("params",)
)
SCHEDULER = Slot("a schedule", call=("step", "num_steps"), home="jlrun.training.schedules")
_PLAIN_DATA = ("builtins.tuple", "builtins.dict", "torch.Dataset", "pandas.DataFrame")
_PLAIN_DATA += ("datasets.Dataset", "datasets.DatasetDict")
DATASET = Slot(
    "a data set", ("jlrun.data.dataset.Dataset",), home="jlrun.data", converted=_PLAIN_DATA
)
AUGMENT = Slot("an augmentation", ("jlrun.data.augmentation.augment.Augment",))
TASK = Slot("a task", ("jlrun.tasks.Task",))
FINETUNING = Slot("a way of fine-tuning", ("jlrun.strategies.finetuning.Finetuning",))
VALIDATOR = Slot("a validator", ("jlrun.evaluation.validators.Validator",))
ZERO_SHOT_METHOD = Slot("a zero-shot method", ("jlrun.strategies.zero_shot.Method",))
VIEWS = Slot(
    "augmented views", call=("batch", "generator", "specs"), home="jlrun.data.augmentation.views"
)
PART = Slot("a part of a model", _MODULE, _NETWORKS)
