"""The selected model of a run, ready to predict without the data it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jlrun import checkpoints
from jlrun.assembly import Assembly, dataset_nodes, make_engine, make_model
from jlrun.config.build import build
from jlrun.config.schema import Settings
from jlrun.data.specs import Spec, spec_from_json, spec_to_json
from jlrun.engine import Engine
from jlrun.errors import UserError
from jlrun.files import read_json, write_json
from jlrun.model import JointModel
from jlrun.phase import Objective
from jlrun.tasks import TaskSpec

FILE = "model.json"


@dataclass(frozen=True)
class SavedModel:
    """What `load_saved_model` returns.

    Attributes:
        model: with the weights of ``checkpoints/best``, on the engine's device.
        engine: as in the run, on a device of this machine.
        specs: modality -> what the model takes.
        scored: the tasks that the run is about.
    """

    model: JointModel
    engine: Engine
    specs: Mapping[str, Spec]
    scored: tuple[Objective, ...]


def describe_model(assembly: Assembly, directory: Path) -> None:
    """Write ``model.json``: what of the data the model depends on."""
    fit = assembly.plan.fits[0]
    content = {
        "modalities": {m: spec_to_json(assembly.specs[m]) for m in fit.modalities},
        "heads": {
            head: {
                "task": spec.name,
                "kind": _node_of(assembly, spec),
                "classes": list(spec.classes),
            }
            for head, spec in fit.heads.items()
        },
        "scored": [o.head for o in fit.scored],
    }
    write_json(directory / FILE, content)


def load_saved_model(directory: Path, settings: Settings) -> SavedModel:
    """Return the selected model of the run in ``directory``.

    Raises:
        UserError: if the run has not got as far as a selected model.
    """
    if not (directory / FILE).is_file() or not checkpoints.exists(directory / "checkpoints/best"):
        raise UserError.of(str(directory), "this run has no selected model yet; resume it first")
    content = read_json(directory / FILE)
    specs = {m: spec_from_json(fields) for m, fields in content["modalities"].items()}
    heads = {
        head: TaskSpec(entry["task"], build(entry["kind"]), tuple(entry["classes"]))
        for head, entry in content["heads"].items()
    }
    engine = make_engine(settings)
    untrained = settings.model_copy(update={"backbone": _without_weights(settings.backbone)})
    model = engine.prepare(make_model(untrained, specs, tuple(specs), heads))
    checkpoints.load_model(directory / "checkpoints" / "best", model)
    model.eval()
    scored = tuple(Objective(heads[h].name, "input", heads[h], h) for h in content["scored"])
    return SavedModel(model, engine, specs, scored)


def _node_of(assembly: Assembly, spec: TaskSpec) -> Mapping[str, Any]:
    nodes = dataset_nodes(assembly.settings)
    return next(
        nodes[feed.name]["tasks"][spec.column]
        for feed in assembly.feeds
        if any(known is spec for known in feed.tasks)
    )


def _without_weights(backbone: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return encoder nodes that read no pretrained weights: those of the checkpoint follow."""
    return {
        modality: {key: None if key == "weights" else value for key, value in node.items()}
        for modality, node in backbone.items()
    }
