"""Sweeper and launcher of jlrun, as plugins of Hydra.

Hydra finds plugins by searching the installed package ``hydra_plugins``. Ours are registered when a
sweep starts, which works the same however jlrun is installed.
"""

from __future__ import annotations

from hydra.core.plugins import Plugins

from jlrun.config.hydra_node import LAUNCHER, SWEEPER


def register_plugins() -> None:
    """Let ``hydra/sweeper=jlrun`` and ``hydra/launcher=jlrun`` be built."""
    from jlrun.runs.sweeps.launcher import JobLauncher
    from jlrun.runs.sweeps.sweeper import JobSweeper

    known = Plugins.instance().class_name_to_class
    known[SWEEPER], known[LAUNCHER] = JobSweeper, JobLauncher
