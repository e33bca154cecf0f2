"""TensorBoard whose HParams list the union of the hyperparameters of all runs.

TensorBoard takes the columns of its HParams page from the first run that states any, whichever that
is. Without these statements it finds the columns itself, from all runs, with numbers as numbers and
those that differ first; but then takes every curve of a run for a metric. So its HParams plugin is
given a view of the event files without the statements, and with no other curves than the objective
and the test scores.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from copy import copy
from typing import Any

from tensorboard import default, program
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.hparams_plugin import HParamsPlugin
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin

from jlrun.reporting.board_runs import ShownRuns
from jlrun.reporting.hparams import is_compared

ByRun = Mapping[str, Mapping[str, Any]]


class HParamsData:
    """Data provider of TensorBoard, as its HParams plugin is to see it.

    Args:
        provider: of everything.
    """

    def __init__(self, provider: Any) -> None:
        self._provider = provider

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    def list_tensors(self, *given: Any, **named: Any) -> ByRun:
        """Return run -> tag -> tensors, without statements on the columns."""
        found = self._provider.list_tensors(*given, **named)
        return {
            run: {tag: series for tag, series in tags.items() if tag != metadata.EXPERIMENT_TAG}
            for run, tags in found.items()
        }

    def list_scalars(self, *given: Any, **named: Any) -> ByRun:
        """Return run -> tag -> scalars, of what runs are compared by."""
        found = self._provider.list_scalars(*given, **named)
        return {
            run: {tag: series for tag, series in tags.items() if is_compared(tag)}
            for run, tags in found.items()
        }


class UnionHParams(HParamsPlugin):
    """HParams of all runs."""

    def __init__(self, context: TBContext) -> None:
        seen = copy(context)
        seen.data_provider = HParamsData(context.data_provider)
        super().__init__(seen)


class ProjectorOfFolders(ProjectorPlugin):
    """Projector, which takes names of runs for folders: it is given those of the event files."""

    def __init__(self, context: TBContext) -> None:
        seen = copy(context)
        if isinstance(context.data_provider, ShownRuns):
            seen.data_provider = context.data_provider.of_files
        super().__init__(seen)


def plugins() -> list[Any]:
    """Return TensorBoard's plugins, with these HParams."""
    own = {HParamsPlugin: UnionHParams, ProjectorPlugin: ProjectorOfFolders}
    return [own.get(each, each) for each in default.get_plugins()]


class Board(program.TensorBoard):
    """TensorBoard over runs under the names by which people know them."""

    def _make_data_provider(self) -> tuple[Any, Any]:
        provider, multiplexer = super()._make_data_provider()
        logdir = os.path.abspath(self.flags.logdir)
        return ShownRuns(provider, logdir), multiplexer


def main() -> None:
    """Serve as ``tensorboard`` does, with its options, until interrupted."""
    board = Board(plugins=plugins())
    board.configure(sys.argv)
    sys.exit(board.main())


if __name__ == "__main__":
    main()
