"""Model description: `model.json`, the specs, heads and classes that a model depends on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jlrun.data.specs import spec_to_json
from jlrun.files.atomic import write_json
from jlrun.files.run_directory import RunDirectory
from jlrun.models.class_vectors.kept import keep
from jlrun.runs.assembly import Assembly
from jlrun.runs.building import head_node
from jlrun.runs.datasets import dataset_nodes
from jlrun.tasks import TaskSpec


def describe_model(assembly: Assembly, directory: Path) -> None:
    """Write ``model.json``: the specs, heads and classes that the model depends on."""
    fit = assembly.plan.fits[0]
    content = {
        "modalities": {m: spec_to_json(assembly.specs[m]) for m in fit.modalities},
        "heads": {
            head: {
                "task": spec.name,
                "kind": _node_of(assembly, spec),
                "classes": list(spec.classes),
                "units": [*spec.task.units, *spec.task.scale],
            }
            for head, spec in fit.heads.items()
        },
        "scored": [o.head for o in fit.scored],
    }
    names = (name for spec in fit.heads.values() for name in spec.classes)
    keep(head_node(assembly.settings), tuple(dict.fromkeys(names)), directory)
    write_json(RunDirectory(directory).model, content)


def _node_of(assembly: Assembly, spec: TaskSpec) -> Mapping[str, Any]:
    nodes = dataset_nodes(assembly.settings)
    return next(
        nodes[streams.name]["tasks"][spec.column]
        for streams in assembly.labelled
        if any(known is spec for known in streams.tasks)
    )
