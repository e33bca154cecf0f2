"""Packages of Hydra's plugins, for the message where one is not installed."""

from __future__ import annotations

_LOGGING = {"colorlog": "hydra_colorlog"}
_PACKAGES = {
    "hydra/launcher": {
        "joblib": "hydra-joblib-launcher",
        "ray": "hydra-ray-launcher",
        "ray_aws": "hydra-ray-launcher",
        "rq": "hydra-rq-launcher",
        "submitit_local": "hydra-submitit-launcher",
        "submitit_slurm": "hydra-submitit-launcher",
    },
    "hydra/sweeper": {
        "ax": "hydra-ax-sweeper",
        "nevergrad": "hydra-nevergrad-sweeper",
        "optuna": "hydra-optuna-sweeper",
    },
    "hydra/job_logging": _LOGGING,
    "hydra/hydra_logging": _LOGGING,
}
# What jlrun does by itself.
_OWN = {
    "joblib": "without it, sweep.jobs=N does several jobs at once",
    "ray": "without it, sweep=ray does jobs on a cluster",
    "submitit_slurm": "without it, sweep=slurm does jobs on a cluster",
    "optuna": "without it, sweep=optuna searches",
}


def missing_plugin(group: str, option: str) -> str:
    """Return which package an option of Hydra's groups comes with; empty for other options."""
    package = _PACKAGES.get(group, {}).get(option)
    if package is None:
        return ""
    own = f"; {_OWN[option]}" if option in _OWN else ""
    return f"'{option}' is a plugin that is not installed: pip install {package}{own}"
