"""Joint-learning experiments from configuration: transfer, multi-task and multimodal learning.

``jlrun.run(["mode=transfer", "seed=1"])`` is the command line for notebooks and programs. Nothing
here imports PyTorch until a run starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jlrun.reporting.result import Result as Result

    __version__: str

__all__ = ["Result", "__version__", "run"]


def run(overrides: Sequence[str] = ()) -> Result:
    """Train one experiment and return what it found.

    Args:
        overrides: what the command line takes, for example ``["mode=multitask", "seed=1"]``.

    Raises:
        UserError: with every problem of the configuration, or what is wrong with the data.
        RunError: if the run fails for a reason that one line explains.
    """
    from jlrun.config import checked
    from jlrun.runs.starting import execute

    return execute(checked(list(overrides)))


def __getattr__(name: str) -> Any:
    if name == "Result":
        from jlrun.reporting.result import Result

        return Result
    if name == "__version__":
        from importlib.metadata import version

        return version("jlrun")
    raise AttributeError(f"module 'jlrun' has no attribute '{name}'")
