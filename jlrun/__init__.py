"""Joint-learning experiments from configuration: transfer, multi-task and multimodal learning.

``jlrun.run(["mode=transfer", "seed=1"])`` is the command line for notebooks and programs, as are
`check`, `ls`, `sweep` and `study`; `load` opens what is in a folder. What is wrong is a `UserError`
with one clear line. Importing this imports neither PyTorch nor pandas: the functions do, when they
are called.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jlrun.errors import briefly

if TYPE_CHECKING:
    import pandas as pd

    from jlrun.errors import Interrupted as Interrupted
    from jlrun.errors import RunError as RunError
    from jlrun.errors import UserError as UserError
    from jlrun.runs.opened.callbacks import Callback as Callback
    from jlrun.runs.opened.callbacks import Callbacks as Callbacks
    from jlrun.runs.opened.callbacks import Epoch as Epoch
    from jlrun.runs.opened.callbacks import Point as Point
    from jlrun.runs.opened.plain_model import PlainModel as PlainModel
    from jlrun.runs.opened.run import Run as Run
    from jlrun.runs.opened.runs import Runs as Runs
    from jlrun.runs.opened.runs import StudyRuns as StudyRuns

    __version__: str

_CLASSES = {
    "Callback": "jlrun.runs.opened.callbacks",
    "Epoch": "jlrun.runs.opened.callbacks",
    "Interrupted": "jlrun.errors",
    "Point": "jlrun.runs.opened.callbacks",
    "PlainModel": "jlrun.runs.opened.plain_model",
    "Run": "jlrun.runs.opened.run",
    "RunError": "jlrun.errors",
    "Runs": "jlrun.runs.opened.runs",
    "StudyRuns": "jlrun.runs.opened.runs",
    "UserError": "jlrun.errors",
}

__all__ = [
    "Callback",
    "Epoch",
    "Interrupted",
    "PlainModel",
    "Point",
    "Run",
    "RunError",
    "Runs",
    "StudyRuns",
    "UserError",
    "__version__",
    "check",
    "load",
    "ls",
    "pull",
    "push",
    "run",
    "study",
    "sweep",
]


@briefly
def run(
    overrides: Sequence[str] = (),
    *,
    trust: Sequence[str] = (),
    config_dir: str | os.PathLike[str] | None = None,
    callbacks: Callbacks = (),
    **parts: Any,
) -> Run:
    """Train one experiment and return its run: scores, figures, the model, predictions.

    Args:
        overrides: what the command line takes, for example ``["mode=multitask", "seed=1"]``.
        trust: packages of yours whose classes the configuration may name.
        config_dir: a further folder of options, besides ``./conf``.
        callbacks: functions called with each `Epoch` that has ended, or `Callback` objects, for
            logging of one's own and for stopping early; of baselines, too. What one raises ends the
            run, which `Run.resume` goes on with.
        parts: objects where a configuration has names. A class, a function, or a
            `functools.partial` of one with its arguments: ``weighting=MyWeighting``, or by name
            ``backbone={"image": MyNet}``, ``terms={"mine": MyTerm}``. A frame of pandas:
            ``dataset=frame``, or with settings of the table ``dataset={"table": frame, "targets":
            ["price"]}``; ``source`` and ``target`` of a transfer likewise. The run keeps frames
            among its inputs, so that it can be resumed, evaluated and used by any program. Of
            classes it keeps the names: what ``__main__`` defines must be given again in another
            process (`load`).

    Returns:
        The run, complete.

    Raises:
        UserError: with every problem of the configuration, or what is wrong with the data.
        RunError: if the run or a callback fails for a reason that one line explains.
        Interrupted: if the user stops it (Ctrl-C): its message says what goes on with it.
    """
    from jlrun.runs.opened import launching

    return launching.run(overrides, trust, config_dir, callbacks, parts)


@briefly
def check(
    overrides: Sequence[str] = (),
    *,
    trust: Sequence[str] = (),
    config_dir: str | os.PathLike[str] | None = None,
    **parts: Any,
) -> dict[str, Any]:
    """Find all that is wrong with a configuration, without training, and return it resolved.

    Args:
        overrides, trust, config_dir, parts: as of `run`.

    Raises:
        UserError: with every problem.
    """
    from jlrun.runs.opened import launching

    return launching.check(overrides, trust, config_dir, parts)


@briefly
def ls(*groups: str, config_dir: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Return the options that there are, a row for each: ``group``, ``option``, ``description``.

    Args:
        groups: such as ``"weighting"`` or ``"backbone/image"``; none: all.
        config_dir: a further folder of options, besides ``./conf``.

    Raises:
        UserError: if there is no such group.
    """
    from jlrun.runs.opened.options import options_frame

    return options_frame(groups, config_dir)


@briefly
def load(
    path: str | os.PathLike[str], *, trust: Sequence[str] = (), parts: Sequence[Any] = ()
) -> Run | Runs | StudyRuns:
    """Open the run in a folder, or the runs below it: of a sweep, a study, or all of ``outputs``.

    Nothing is read before it is asked for, but which folders hold runs.

    Args:
        path: the folder.
        trust: packages of yours whose classes the runs were made of.
        parts: classes and functions that ``__main__`` of the program that made a run defined, and
            that of this one defines again.

    Returns:
        The run; the runs; those of a study with its answers.

    Raises:
        UserError: if there is no such folder, or no run in it.
    """
    from jlrun.runs.opened import launching

    return launching.opened(path, trust, parts)


@briefly
def push(
    run: Run | str | os.PathLike[str],
    repository: str,
    *,
    private: bool = False,
    fingerprint: bool = False,
) -> str:
    """Push a run to the Hugging Face Hub, as ``jlrun push`` does, and return the URL of the commit.

    The selected weights, configuration, scores, curves and a model card are pushed. Rows, splits,
    predictions, pictures, baselines and the log are not, and local paths are cut to names.

    Args:
        run: the run, or its folder.
        repository: ``"owner/name"``, made if there is none.
        private: whether nobody else may see it.
        fingerprint: also push a hash of each row, by which changed data is noticed.

    Raises:
        UserError: if the run is not complete, ``huggingface_hub`` is not installed, or the
            repository can't be written.
        RunError: if the Hub can't be reached.
    """
    from pathlib import Path

    from jlrun.runs import hub

    folder = run if isinstance(run, str | os.PathLike) else run.path
    return hub.push(Path(folder), repository, private, fingerprint).url


@briefly
def pull(
    repository: str,
    output: str | os.PathLike[str] | None = None,
    *,
    revision: str | None = None,
    trust: Sequence[str] = (),
) -> Run:
    """Pull a run from the Hugging Face Hub, as ``jlrun pull`` does, and return it.

    Args:
        repository: ``"owner/name"``.
        output: a new or empty folder; None: ``outputs/pulled/owner/name``.
        revision: branch, tag or commit; None: the newest.
        trust: packages of yours whose classes the run was made of.

    Raises:
        UserError: if there is no such run, a file is not as it was pushed, or something is in the
            way.
        RunError: if the Hub can't be reached.
    """
    from pathlib import Path

    from jlrun.runs import hub
    from jlrun.runs.opened.run import Run

    folder = Path(output) if output is not None else Path("outputs", "pulled", repository)
    hub.pull(repository, folder, revision)
    return Run(folder, trust=trust)


@briefly
def sweep(
    overrides: Sequence[str],
    *,
    trust: Sequence[str] = (),
    config_dir: str | os.PathLike[str] | None = None,
    **frames: Any,
) -> Runs:
    """Run a sweep, as ``jlrun --multirun`` does, and return its runs, failed ones included.

    Args:
        overrides: what the command line takes, for example ``["weighting=equal,pcgrad"]``.
        trust, config_dir: as of `run`.
        frames: data sets as of `run`, such as ``dataset=frame``. They are kept in
            ``outputs/frames``, where the jobs read them.

    Raises:
        UserError: if a value is wrong; no job runs.
        Interrupted: if the user stops it.
    """
    from jlrun.runs.opened import launching

    return launching.sweep(overrides, trust, config_dir, frames)


@briefly
def study(
    overrides: Sequence[str] = (), *, trust: Sequence[str] = (), **frames: Any
) -> StudyRuns | None:
    """Run a study, as ``jlrun study`` does, and return its runs with what they answer.

    Args:
        overrides: what the command line takes, for example ``["dataset=digits",
            "study.budget=10min"]``.
        trust: as of `run`.
        frames: as of `sweep`.

    Returns:
        The study; None for a plan alone (``study.dry=true``).

    Raises:
        UserError: if the data or an override is wrong; nothing is trained.
        Interrupted: if the user stops it; the same call goes on.
    """
    from jlrun.runs.opened import launching

    return launching.study(overrides, trust, frames)


def __getattr__(name: str) -> Any:
    if name in _CLASSES:
        return getattr(import_module(_CLASSES[name]), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("jlrun")
    raise AttributeError(f"module 'jlrun' has no attribute '{name}'")
