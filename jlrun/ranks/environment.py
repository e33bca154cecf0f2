"""Environment that torchrun, or SLURM's srun, gives to each process. Imports no PyTorch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from jlrun.errors import UserError


@dataclass
class Spoken:
    """Who states what ends the run.

    Attributes:
        value: whether another rank does, so that this one need not.
        first_is_gone: whether rank 0 can't.
    """

    value: bool = False
    first_is_gone: bool = False


spoken = Spoken()


def world_size() -> int:
    """Return the number of processes that were started to train one run; 1 without a launcher."""
    return max(1, _number("WORLD_SIZE", 1))


def rank() -> int:
    """Return the rank of this process, from 0."""
    return _number("RANK", 0) if world_size() > 1 else 0


def adopt_slurm() -> None:
    """Give this process what torchrun gives, if it is one of several tasks of ``srun``."""
    for name, value in slurm_ranks(os.environ).items():
        os.environ.setdefault(name, value)


def slurm_ranks(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what torchrun would give to a task of ``srun``; nothing to what is none of several.

    Only a step of a job has ``SLURM_STEP_NUM_TASKS``: the script of a job is one process, however
    many tasks the job has.

    Raises:
        UserError: if the list of machines can't be read.
    """
    tasks = environ.get("SLURM_STEP_NUM_TASKS", "")
    if "RANK" in environ or not tasks.isdecimal() or int(tasks) < 2:
        return {}
    if "SLURM_PROCID" not in environ:
        return {}
    job = int(environ.get("SLURM_JOB_ID", "0"))
    step = environ.get("SLURM_STEP_ID", "0")
    number = job * 31 + (int(step) if step.isdecimal() else 0)
    nodes = environ.get("SLURM_STEP_NODELIST") or environ.get("SLURM_JOB_NODELIST", "")
    return {
        "RANK": environ["SLURM_PROCID"],
        "WORLD_SIZE": tasks,
        "LOCAL_RANK": environ.get("SLURM_LOCALID", "0"),
        "MASTER_ADDR": first_node(nodes),
        # Of each step its own, the same on all its tasks.
        "MASTER_PORT": str(20_000 + number % 12_000),
    }


def first_node(nodes: str) -> str:
    """Return the first machine of a list as SLURM writes it, such as ``gpu[03-05,9],login1``.

    Raises:
        UserError: if it is no such list.
    """
    match = re.match(r"(?:[^,\[\]\s]|\[[^\[\]]+\])+", nodes)
    if match is None:
        message = f"'{nodes}' is no list of machines; set MASTER_ADDR to that of rank 0"
        raise UserError.of("SLURM_STEP_NODELIST", message)
    return re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", match[0])


def restarted() -> bool:
    """Return whether torchrun, or SLURM, has started these ranks once more after a failure."""
    return _number("TORCHELASTIC_RESTART_COUNT", 0) > 0 or _number("SLURM_RESTART_COUNT", 0) > 0


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() else default
