"""Process of one job of a sweep: forked from a server that has imported what jobs need."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from hydra.core.utils import run_job as hydra_job
from hydra.core.utils import setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from jlrun.config.compose import Loader, hydra_state
from jlrun.config.hydra_internals import Callbacks
from jlrun.errors import INTERRUPTED
from jlrun.files.run_directory import RunDirectory


@dataclass(frozen=True)
class Order:
    """What a process needs for its job.

    Attributes:
        loader: composes its config.
        master: config of the sweep.
        function: does the job.
        overrides, number: of the job.
        slot: number among the jobs that run at once, from 0.
        threads: of PyTorch, where the config sets none.
        working_directory: of relative paths in configs.
    """

    loader: Loader
    master: DictConfig
    function: Callable[[DictConfig], Any]
    overrides: Sequence[str]
    number: int
    slot: int
    threads: int
    working_directory: str = field(default_factory=os.getcwd)


def work(order: Order, sender: Connection) -> None:
    """Do a job; send its directory first, and then what went wrong, if the job's result can't."""
    os.setpgrp()  # Ctrl-C reaches the sweep, which passes it on
    for number in (signal.SIGINT, signal.SIGTERM):  # in the background they may be ignored
        signal.signal(number, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # which the server blocks
    _end_with_parent()
    os.chdir(order.working_directory)  # not where this process's server was started
    try:
        with hydra_state():
            setup_globals()
            config = sweep_config(order.loader, order.master, order.overrides, order.number)
            directory = Path(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir))
            sender.send(str(directory))
            _print_to(RunDirectory(directory).output)
            _divide(order, str(config.engine.device))
            run_composed(order.loader, config, order.function)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        sender.send(" ".join(str(error).split()) or type(error).__name__)
        raise


def sweep_config(
    loader: Loader, master: DictConfig, overrides: Sequence[str], number: int
) -> DictConfig:
    """Return the config of a job of a sweep, with Hydra's node."""
    config = loader.load_sweep_config(master, list(overrides))
    with open_dict(config):
        config.hydra.job.id = config.hydra.job.num = number
    return config


def run_composed(loader: Loader, config: DictConfig, function: Callable[[DictConfig], Any]) -> Any:
    """Run a job as Hydra's launchers do.

    Raises:
        Exception: what the job raised.
    """
    done = hydra_job(
        hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks(config)),
        task_function=function,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
    if isinstance(done._return_value, Exception):
        raise done._return_value
    return done


def _end_with_parent() -> None:
    """End this process at once when the sweep's is killed: its successor resumes the job."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _print_to(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    with file.open("ab", buffering=0) as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)


def _divide(order: Order, device: str) -> None:
    """Give the job its share of the cores, and a GPU where there are several."""
    torch = sys.modules.get("torch")
    if torch is None:  # a job that was not to train: whoever trains has it preloaded
        return
    torch.set_num_threads(order.threads)
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = given.split(",") if given else [str(i) for i in range(torch.cuda.device_count())]
    if len(names) > 1 and not device.startswith("cuda:"):
        os.environ["CUDA_VISIBLE_DEVICES"] = names[order.slot % len(names)]
