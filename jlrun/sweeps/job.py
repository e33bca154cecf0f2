"""One job of a sweep, in this process or in one that a launcher started."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from jlrun.config.compose import Composed, plain
from jlrun.errors import Interrupted, RunError, UserError
from jlrun.files import write_json
from jlrun.sweeps.records import REJECTED


def run_job(cfg: DictConfig) -> float | None:
    """Train one job; whatever goes wrong is told and recorded, and does not stop the others.

    Returns:
        The job's objective, for sweepers that search; None if it failed.
    """
    hydra = HydraConfig.get()
    overrides = [str(text) for text in OmegaConf.to_container(hydra.overrides.task) or []]
    directory = Path(str(hydra.runtime.output_dir))
    print(f"\njob {hydra.job.num}: {' '.join(overrides)}", flush=True)
    try:
        return _objective(cfg, overrides, directory, Path(str(hydra.sweep.dir)))
    except (Interrupted, KeyboardInterrupt) as error:
        raise KeyboardInterrupt from error
    except UserError as error:
        _record(directory, cfg, overrides, str(error), rejected=True)
    except RunError as error:
        _record(directory, cfg, overrides, str(error), rejected=False)
    except Exception:
        _record(directory, cfg, overrides, traceback.format_exc(), rejected=False)
    return None


def _objective(cfg: DictConfig, overrides: list[str], directory: Path, sweep: Path) -> float | None:
    from jlrun.config import check_values
    from jlrun.execution import execute

    config = plain(cfg)
    if config.get("baselines_cache") is None:
        config["baselines_cache"] = str(sweep / "baselines")
    problems = check_values(config)
    if problems:
        raise UserError(problems)
    result = execute(Composed(config, overrides, directory))
    return None if result.objective is None else float(result.objective["value"])


def _record(
    directory: Path, cfg: DictConfig, overrides: list[str], error: str, *, rejected: bool
) -> None:
    """Say what went wrong, and leave it in ``result.json``, which an early end has not written."""
    from jlrun.result import read_result

    print(f"jlrun: job in {directory} failed: {error}", file=sys.stderr, flush=True)
    content: dict[str, Any] = dict(read_result(directory) or {}) or {
        "schema": 1,
        "mode": cfg.get("mode"),
        "seed": cfg.get("seed"),
        "overrides": overrides,
    }
    content |= {"status": "failed", "error": error, REJECTED: rejected}
    directory.mkdir(parents=True, exist_ok=True)
    write_json(directory / "result.json", content)
