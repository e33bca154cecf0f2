"""The runs that a soup may be made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jlrun.errors import UserError
from jlrun.files.run_directory import RunDirectory
from jlrun.models import checkpoints
from jlrun.models.joint_model import JointModel
from jlrun.models.lora import is_lora_parameter, merge_lora
from jlrun.reporting.result import read_result
from jlrun.runs.saved_model import load_teacher, read_description
from jlrun.runs.saved_run import load_run
from jlrun.runs.settings import RunSettings


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
