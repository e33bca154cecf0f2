"""The selected model of a run, ready to predict without the data it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

from jlrun.config.build import build
from jlrun.config.slots import FINETUNING, TASK
from jlrun.data.specs import Spec, spec_from_json
from jlrun.engine import Engine
from jlrun.errors import UserError
from jlrun.files.atomic import RESTORE, read_json, reading
from jlrun.files.run_directory import BEST, RunDirectory
from jlrun.models import checkpoints
from jlrun.models.class_vectors.snapshot import with_kept
from jlrun.models.joint_model import JointModel
from jlrun.objective.terms.transfer.teacher import Teacher
from jlrun.runs.building import make_engine, make_model
from jlrun.runs.saved_run import load_config, load_run
from jlrun.runs.settings import ModelSettings, RunSettings
from jlrun.tasks import Task, TaskSpec
from jlrun.tasks.objective import Objective


@dataclass(frozen=True)
class SavedModel:
    """Selected model of a run, as `load_saved_model` returns it.

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


def load_saved_model(directory: Path, settings: RunSettings) -> SavedModel:
    """Return the selected model of the run in ``directory``.

    Raises:
        UserError: if the run has not got as far as a selected model.
    """
    content = _described(directory)
    specs, heads = _specs(content), _heads(content)
    engine = make_engine(settings.engine)
    model = engine.prepare(_untrained(directory, settings.model, specs, heads))
    checkpoints.load_model(RunDirectory(directory).best, model)
    model.eval()
    scored = tuple(Objective(heads[h].name, "input", heads[h], h) for h in content["scored"])
    return SavedModel(model, engine, specs, scored)


def load_teacher(directory: Path, device: torch.device, checkpoint: str = BEST) -> Teacher:
    """Return the model of the run in ``directory``, for others to learn from or to keep.

    Args:
        directory: of the run.
        device: where the model goes.
        checkpoint: its name; that of the selected weights, unless another is named.

    Raises:
        UserError: if there is no run, or it has not got as far as such a checkpoint.
    """
    settings, _ = load_run(directory)
    content = _described(directory, checkpoint)
    specs, heads = _specs(content), _heads(content)
    model = _untrained(directory, settings.model, specs, heads)
    checkpoints.load_model(RunDirectory(directory).checkpoints / checkpoint, model)
    return Teacher(model.to(device).requires_grad_(False).eval(), specs, heads)


def read_specs(directory: Path) -> dict[str, Spec]:
    """Return modality -> what the selected model of the run in ``directory`` takes.

    Raises:
        UserError: as `load_teacher`.
    """
    load_config(directory)
    return _specs(_described(directory))


def as_learned(directory: Path, scored: Sequence[Objective]) -> tuple[Objective, ...]:
    """Return the objectives on other data, in the units and classes of the run in ``directory``.

    Raises:
        UserError: if the other data has other classes.
    """
    heads = _heads(_described(directory))
    return tuple(_as_learned(o, heads[o.head]) if o.head in heads else o for o in scored)


def _as_learned(objective: Objective, learned: TaskSpec) -> Objective:
    spec = objective.spec
    if spec.classes != learned.classes:
        only = [*(set(spec.classes) ^ set(learned.classes))]
        shown = ", ".join(sorted(only)[:5]) or "their order"
        raise UserError.of(
            f"{objective.stream}.tasks.{spec.column}",
            f"the classes are not those of the run: {shown}; rows of a table with some of its "
            f"classes are scored by {objective.stream}.test_path=FILE",
        )
    return replace(objective, spec=replace(spec, task=learned.task))


class SavedTeachers:
    """Teachers from run directories (`jlrun.objective.terms.transfer.teacher.Teachers`)."""

    def specs(self, directory: Path) -> Mapping[str, Spec]:
        """Return modality -> what the selected model of the run in ``directory`` takes."""
        return read_specs(directory)

    def load(self, directory: Path, device: torch.device) -> Teacher:
        """Return the selected model of the run in ``directory``."""
        return load_teacher(directory, device)


def _described(directory: Path, checkpoint: str = BEST) -> dict[str, Any]:
    """Return the content of the run's ``model.json``, if it has weights to go with it."""
    run = RunDirectory(directory)
    if not run.model.exists() or not checkpoints.exists(run.checkpoints / checkpoint):
        what = "selected model" if checkpoint == BEST else "checkpoint"
        raise UserError.of(str(directory), f"this run has no {what} yet; resume it first")
    return read_description(directory)


class _SavedHead(BaseModel):
    task: str
    kind: dict[str, Any]
    classes: list[str]
    units: list[Any] = []


class _Description(BaseModel):
    """Schema of ``model.json``."""

    modalities: dict[str, dict[str, Any]]
    heads: dict[str, _SavedHead]
    scored: list[str]


def read_description(directory: Path) -> dict[str, Any]:
    """Return the content of the run's ``model.json``: specs, heads and classes of its model.

    Raises:
        UserError: if it is missing or damaged.
    """
    file = RunDirectory(directory).model
    fix = f"{RESTORE}, or delete result.json and it: `jlrun resume` writes both anew"
    content = read_json(file, _Description, fix)
    with reading(file, fix):
        _specs(content)
        if unknown := [head for head in content["scored"] if head not in content["heads"]]:
            raise ValueError(f"scored: there is no head '{unknown[0]}'")
    return content


def scored_tasks(directory: Path) -> tuple[TaskSpec, ...]:
    """Return the tasks that the run is about.

    Raises:
        UserError: as `read_description`.
    """
    content = read_description(directory)
    heads = _heads(content)
    return tuple(heads[head] for head in content["scored"])


def _specs(content: Mapping[str, Any]) -> dict[str, Spec]:
    return {m: spec_from_json(fields) for m, fields in content["modalities"].items()}


def _heads(content: Mapping[str, Any]) -> dict[str, TaskSpec]:
    return {
        head: TaskSpec(entry["task"], _task(entry), tuple(entry["classes"]))
        for head, entry in content["heads"].items()
    }


def _task(entry: Mapping[str, Any]) -> Task:
    task: Task = build(entry["kind"], TASK)
    return task.in_units(*entry["units"]) if "units" in entry else task


def _untrained(
    directory: Path,
    settings: ModelSettings,
    specs: Mapping[str, Spec],
    heads: Mapping[str, TaskSpec],
) -> JointModel:
    """Return the run's model; pretrained weights are not read, as those of the run follow.

    Its heads read the run's copy of a file of class vectors.
    """
    plain = replace(settings.without_weights(), head=with_kept(settings.head, directory))
    model = make_model(plain, specs, tuple(specs), heads)
    if settings.finetune is not None:
        build(settings.finetune, FINETUNING).begin(model)
    return model
