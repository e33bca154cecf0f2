"""Settings of a sweep: of its composed config, and what of them must be the user's own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from jlrun.config.sweep_section import SweepSettings
from jlrun.errors import UserError
from jlrun.extras import import_extra

# What of a sweep runs commands, or says where code is sent.
_OWN = ("address", "slurm")


def settings_of(config: DictConfig) -> SweepSettings:
    """Return the settings of a sweep from its composed config."""
    found: Any = OmegaConf.to_container(config.sweep, resolve=True)
    found["objectives"] = None if not found.get("objectives") else tuple(found["objectives"])
    return SweepSettings.model_validate(found)


def check_engine(settings: SweepSettings, overrides: Sequence[str]) -> None:
    """Check that what is to run the jobs is installed, and that no file says where code goes.

    Args:
        settings: of the sweep.
        overrides: the user's.

    Raises:
        UserError: if it is not, or one does.
    """
    keys = [text.lstrip("+~").partition("=")[0] for text in overrides]
    for name in _OWN:
        place = f"sweep.{name}"
        if getattr(settings, name) and not any(f"{k}.".startswith(f"{place}.") for k in keys):
            raise UserError.of(
                place, f"a file sets what a sweep would run: say it yourself, {place}=…"
            )
    if settings.engine == "slurm":
        import_extra("submitit", "slurm", "sweep.engine")
        if settings.cluster == "slurm" and shutil.which("srun") is None:
            fix = "start it where sbatch is, or try it on this machine by sweep.cluster=local"
            raise UserError.of("sweep.cluster", f"there is no SLURM here (no srun); {fix}")
    elif settings.engine == "ray":
        import_extra("ray", "ray", "sweep.engine")
