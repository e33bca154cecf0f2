"""A run to be done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.chosen import ProgressKind
from jlrun.runs.settings import RunSettings
from jlrun.training.fit_folder import FitFolder
from jlrun.training.recorder import MAIN_FIT, Recorder


@dataclass(frozen=True)
class Job:
    """A run to be done: its settings, where it goes, what the user typed, what else was
    inferred from the data, whether the batch size must stay as it is, and what of its progress is
    shown, if not what the settings say."""

    settings: RunSettings
    directory: Path
    overrides: tuple[str, ...]
    resumed: bool = False
    inferred: tuple[str, ...] = ()
    own_batch_size: bool = False
    progress: ProgressKind | None = None
    watched_by: Callable[[str], Recorder] | None = None  # given the last phase of the main fit

    @property
    def files(self) -> RunDirectory:
        """The files of the run."""
        return RunDirectory(self.directory)

    def folder(self, fit: str) -> FitFolder:
        """Return the folder of a fit's checkpoints."""
        run = self.files
        folder = run.checkpoints if fit == MAIN_FIT else run.baseline_checkpoints(fit)
        return FitFolder(folder, self.settings.recorder.checkpoint_seconds)
