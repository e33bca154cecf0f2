"""Jobs of a sweep that train nothing: they write a result, fail, or kill their process."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from jlrun.files.atomic import write_json
from jlrun.runs.sweeps.begun import job_overrides
from jlrun.training.interruption import listening

DONE = "done.txt"  # a line for each job that came to its end


def job(cfg: DictConfig) -> None:
    """Write the result of a run, once; its score is −log10 of ``lambda_``, or its seed."""
    hydra = HydraConfig.get()
    directory, sweep = Path(hydra.runtime.output_dir), Path(hydra.sweep.dir)
    file = directory / "result.json"
    if file.is_file() and json.loads(file.read_text())["status"] == "completed":
        return
    time.sleep(float(os.environ.get("STUB_SECONDS", "0")))
    overrides = job_overrides(OmegaConf.to_container(hydra.overrides.task) or [])
    _die(cfg, sweep)
    with listening():
        _interrupt(cfg, sweep)
        _finish(cfg, file, overrides)
    with (sweep / DONE).open("a") as done:
        done.write(f"{hydra.job.num}\n")


def _finish(cfg: DictConfig, file: Path, overrides: list[str]) -> None:
    score = cfg.seed / 10 + cfg.lambda_
    content = {"schema": 1, "status": "completed", "mode": cfg.mode, "seed": cfg.seed}
    content |= {"overrides": overrides, "test": {"digit": {"accuracy": score}}}
    content |= {"val": {"digit": {"accuracy": score}}, "cost": {"train_seconds": 1 / score}}
    objective = {"name": "val/mean_score", "value": score, "direction": "maximize"}
    write_json(file, content | {"objective": objective})


def _die(cfg: DictConfig, sweep: Path) -> None:
    """Kill this process, or the engine's that it works for, where the sweep's folder says so."""
    mark = sweep / f"kill_seed_{cfg.seed}"
    if mark.exists():
        mark.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    mark = sweep / f"kill_worker_seed_{cfg.seed}"
    if mark.exists():
        mark.unlink()
        server = os.getppid()
        os.kill(int(Path(f"/proc/{server}/stat").read_text().split()[3]), signal.SIGKILL)
        time.sleep(60)  # this process ends with the killed one


def _interrupt(cfg: DictConfig, sweep: Path) -> None:
    """Ask the sweep to stop where its folder says so, too late for this job."""
    mark = sweep / f"interrupt_seed_{cfg.seed}"
    if mark.exists():
        number = int(mark.read_text())
        mark.unlink()
        signal.raise_signal(number)
