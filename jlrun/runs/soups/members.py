"""Runs that a soup may be made of, and checks that they may be averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jlrun.config.build import build
from jlrun.config.nodes import reserved_keys
from jlrun.config.slots import DATASET
from jlrun.data.dataset import Dataset
from jlrun.errors import UserError
from jlrun.files.run_directory import RunDirectory
from jlrun.models import checkpoints
from jlrun.models.joint_model import JointModel
from jlrun.models.lora import is_lora_parameter, merge_lora
from jlrun.reporting.result import read_result
from jlrun.runs.saved_model import load_teacher, read_description
from jlrun.runs.saved_run import load_run
from jlrun.runs.settings import RunSettings

# What changes training alone: neither which rows there are nor how they are scored.
ONLY_TRAINING = frozenset({"augment", "label_smoothing"})
_ABSENT = "nothing"


@dataclass(frozen=True)
class Member:
    """A completed run.

    Attributes:
        directory: of the run, as the user named it.
        settings: its config.
        description: content of its ``model.json``.
        result: content of its ``result.json``.
    """

    directory: Path
    settings: RunSettings
    description: Mapping[str, Any]
    result: Mapping[str, Any]

    def model(self) -> JointModel:
        """Return its selected model on the CPU, low-rank adapters folded into the weights."""
        model = load_teacher(self.directory, torch.device("cpu")).model
        merge_lora(model)
        return model

    def unfolded(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return folded weights as the run's own model takes them: its adapters change nothing."""
        own = checkpoints.load_tensors(RunDirectory(self.directory).best)
        adapters = {name: t for name, t in own.items() if is_lora_parameter(name)}
        idle = {
            name: torch.zeros_like(t) if name.endswith("lora_b") else t
            for name, t in adapters.items()
        }
        return {**weights, **idle}


def each_run(directories: Sequence[Path]) -> tuple[Path, ...]:
    """Return run directories, those of its jobs, in their order, in the place of a sweep's."""
    return tuple(run for directory in directories for run in _jobs(directory) or (directory,))


def read_members(directories: Sequence[Path]) -> tuple[Member, ...]:
    """Return what lies in run directories.

    Raises:
        UserError: if there are fewer than two, one is named twice, or one is no completed run.
    """
    if len(directories) < 2:
        raise UserError.of("RUN", f"a soup needs two runs or more, found {len(directories)}")
    seen = set[Path]()
    for directory in directories:
        if directory.resolve() in seen:
            raise UserError.of(str(directory), "this run is named twice; name each once")
        seen.add(directory.resolve())
    return tuple(map(_read, directories))


def _jobs(directory: Path) -> list[Path]:
    """Return the jobs of a sweep; none if the directory is not that of a sweep."""
    if not RunDirectory(directory).sweep_config.is_file():
        return []
    found = [file.parent for file in directory.glob(f"*/{RunDirectory(directory).config.name}")]
    return sorted(found, key=lambda job: job.name.zfill(9) if job.name.isdigit() else job.name)


def _read(directory: Path) -> Member:
    settings, _ = load_run(directory)
    result = read_result(directory)
    if result is None or result["status"] != "completed":
        status = "unfinished" if result is None else result["status"]
        raise UserError.of(
            str(directory),
            f"this run is {status}; complete it with `jlrun resume {directory}`, or leave it out",
        )
    if not RunDirectory(directory).model.exists():
        raise UserError.of(str(directory), "model.json is missing; leave this run out")
    if settings.strategy.pretraining.only:
        message = "this run learned no task to choose a soup by (pretraining.only); leave it out"
        raise UserError.of(str(directory), message)
    return Member(directory, settings, read_description(directory), result)


def check_compatible(members: Sequence[Member]) -> None:
    """Check that runs share data, splits and architecture.

    The validation rows that the soup is selected by must not be training rows of any member. Where
    a data set has no official validation split, the run's seed draws it, so all runs need one
    seed; elsewhere seeds may differ.

    Raises:
        UserError: for the first difference.
    """
    first, *others = members
    for other in others:
        why = "runs must have been trained, selected and scored on the same rows in the same way"
        _check_equal(first, other, _data(first), _data(other), why)
        if other.settings.seed != first.settings.seed:
            _check_same_validation_rows(first, other)
        why = "weights can be averaged between models of one architecture"
        _check_equal(first, other, _architecture(first), _architecture(other), why)


def _data(member: Member) -> dict[str, Any]:
    """Return what decides which rows a run was trained, selected and scored on."""
    data, strategy = member.settings.data, member.settings.strategy
    chosen = None
    if data.zero_shot is not None:
        chosen = data.zero_shot.model_dump(include={"unseen", "unseen_seed", "attributes"})
    return {
        "mode": strategy.mode,
        "strategy": strategy.name,
        **data.nodes,
        "zero_shot": chosen,
        "validator": strategy.validator,
    }


def _architecture(member: Member) -> dict[str, Any]:
    """Return what decides which weights a model has, and what they mean."""
    model, modalities = member.settings.model, tuple(member.description["modalities"])
    return {
        "model.json": {key: member.description[key] for key in ("modalities", "heads", "scored")},
        "backbone": {m: model.encoder(m) for m in modalities},
        "fusion": model.fusion if len(modalities) > 1 else None,
        "sharing": model.sharing,
        "heads": model.head,
    }


def _check_equal(
    first: Member, other: Member, ours: Mapping[str, Any], theirs: Mapping[str, Any], why: str
) -> None:
    difference = _difference(ours, theirs)
    if difference is not None:
        raise _refusal(first, other, *difference, why)


def _difference(ours: Any, theirs: Any, path: str = "") -> tuple[str, Any, Any] | None:
    """Return path and values of the first difference of plain values; None if there is none."""
    if not isinstance(ours, Mapping) or not isinstance(theirs, Mapping):
        return None if ours == theirs else (path, ours, theirs)
    for key in (*ours, *(key for key in theirs if key not in ours)):
        if key in ONLY_TRAINING:
            continue
        inner = f"{path}.{key}".lstrip(".")
        found = _difference(ours.get(key, _ABSENT), theirs.get(key, _ABSENT), inner)
        if found is not None:
            return found
    return None


def _check_same_validation_rows(first: Member, other: Member) -> None:
    for name, node in first.settings.data.nodes.items():
        own = {k: v for k, v in node.items() if k not in reserved_keys()}
        dataset: Dataset = build(own, DATASET)
        if dataset.val is None:
            why = (
                f"'{name}' has no official validation split: the seed draws it, so that rows which "
                "validate one run trained the other"
            )
            raise _refusal(first, other, "seed", first.settings.seed, other.settings.seed, why)


def _refusal(
    first: Member, other: Member, path: str, ours: Any, theirs: Any, why: str
) -> UserError:
    return UserError.of(
        str(other.directory),
        f"{path} is {_shown(theirs)}, but {_shown(ours)} in '{first.directory}'; {why}",
    )


def _shown(value: Any) -> str:
    text = "null" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
