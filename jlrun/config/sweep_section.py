"""Section ``sweep`` of a config, typed: what chooses the jobs of a sweep, and what runs them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len
from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from jlrun.config.sections import Section
from jlrun.config.value_types import Seed, distinct
from jlrun.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

_OBJECTIVE = re.compile(r"val/[^/]+/[^/]+|val/mean_score|cost/(train_seconds|peak_memory_bytes)")


def _objective(name: str) -> str:
    if not _OBJECTIVE.fullmatch(name):
        raise ValueError(
            "is nothing to search by: val/mean_score, val/TASK/METRIC, cost/train_seconds or "
            "cost/peak_memory_bytes"
        )
    return name


Objectives = Annotated[
    tuple[Annotated[str, AfterValidator(_objective)], ...], Len(1), AfterValidator(distinct)
]

_TASKS = ("ntasks", "ntasks-per-node")
_SBATCH_OPTION = re.compile(r"[a-z][a-z0-9_-]*")


def _sbatch(options: dict[str, Any]) -> dict[str, Any]:
    """Check options of ``sbatch``, which become lines of a script."""
    for name, value in options.items():
        if not _SBATCH_OPTION.fullmatch(name):
            raise ValueError(f"'{name}' is no option of sbatch")
        if not isinstance(value, str | int | float) or not str(value).isprintable():
            raise ValueError(f"{name} is neither one line of text nor a number")
        if name.replace("_", "-") in _TASKS and str(value) != "1":
            raise ValueError(f"{name}={value}: a job of a sweep is one task; use srun for a run")
    return options


SlurmOptions = Annotated[dict[str, Any], AfterValidator(_sbatch)]


class SweepSettings(Section):
    """Settings of ``--multirun``, which no job of it depends on.

    Attributes:
        kind: what chooses the jobs; the keys from ``trials`` on are those of some kinds.
        jobs: how many run at once.
        new: begin anew instead of going on with an unfinished sweep.
        at_once: most runs of a vectorized sweep that are in memory together.
        trials: number of jobs of a search.
        objectives: what a search goes by; None: the objective of the runs.
        storage, study: database and name of a study; None: a file in the sweep's folder, and a
            name made of the command.
        startup_trials, warmup_epochs: no trial is pruned before these.
        lease_seconds: after which a silent trial is given up.
        engine: what runs jobs; the keys that follow are those of some engines.
        cluster: ``local`` for submitit's processes on this machine.
        cpus, gpus, memory_gb: of each job.
        minutes, requeues: time limit of each job, and how often it goes on after it.
        slurm: further options of ``sbatch``.
        address: of a running Ray cluster; None: Ray on this machine.
    """

    kind: Literal["grid", "vectorized", "random", "optuna"]
    jobs: Annotated[int, Ge(1), Le(1024)]
    new: bool
    at_once: Annotated[int, Ge(1), Le(1024)] = 32
    trials: Annotated[int, Ge(1), Le(1_000_000)] = 20
    seed: Seed = 0
    sampler: Literal["auto", "tpe", "nsgaii", "random"] = "auto"
    objectives: Objectives | None = None
    storage: str | None = None
    study: str | None = None
    pruner: Literal["median", "none"] = "median"
    startup_trials: NonNegativeInt = 5
    warmup_epochs: NonNegativeInt = 2
    lease_seconds: Annotated[float, Ge(1)] = 60.0
    engine: Literal["local", "slurm", "ray"] = "local"
    cluster: Literal["slurm", "local"] = "slurm"
    cpus: PositiveInt = 1
    gpus: NonNegativeFloat = 0.0
    memory_gb: PositiveFloat | None = None
    minutes: PositiveFloat = 240.0
    requeues: NonNegativeInt = 20
    slurm: SlurmOptions = Field(default_factory=dict)
    address: str | None = None

    @field_validator("gpus")
    @classmethod
    def _is_divisible(cls, gpus: float, info: ValidationInfo) -> float:
        shared = info.data.get("engine") == "ray" and gpus < 1  # Ray alone can share one
        if not (gpus.is_integer() or shared):
            raise ValueError(
                "is no whole number of GPUs; only with sweep/engine=ray may jobs share one"
            )
        return gpus
