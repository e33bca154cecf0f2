"""Description of a run: `environment.json`, and `model.json` of what its model depends on."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jlrun.data.specs import spec_to_json
from jlrun.files.atomic import write_json
from jlrun.files.run_directory import RunDirectory
from jlrun.models.class_vectors.snapshot import keep
from jlrun.runs.assembly import Assembly
from jlrun.tasks import TaskSpec

PACKAGES = (
    "jlrun",
    "torch",
    "torchvision",
    "hydra-core",
    "omegaconf",
    "torchmetrics",
    "numpy",
    "scikit-learn",
)


def describe_environment() -> dict[str, Any]:
    """Return versions of Python and packages, the git commit of the working directory, and argv."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "git_commit": _git("rev-parse", "HEAD"),
        "git_changed": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "command": sys.argv,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


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
    keep(assembly.settings.model.head, tuple(dict.fromkeys(names)), directory)
    write_json(RunDirectory(directory).model, content)


def _node_of(assembly: Assembly, spec: TaskSpec) -> Mapping[str, Any]:
    nodes = assembly.settings.data.nodes
    return next(
        nodes[streams.name]["tasks"][spec.column]
        for streams in assembly.labelled
        if any(known is spec for known in streams.tasks)
    )
