"""A run to be done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jlrun.config.schema import Settings
from jlrun.training.fit import FitFolder


@dataclass(frozen=True)
class Job:
    """A run to be done: its settings, where it goes, what the user typed, what else was
    inferred from the data, and whether the batch size must stay as it is."""

    settings: Settings
    directory: Path
    overrides: tuple[str, ...]
    resumed: bool = False
    inferred: tuple[str, ...] = ()
    own_batch_size: bool = False

    def folder(self, fit: str) -> FitFolder:
        """Return the folder of a fit's checkpoints."""
        base = self.directory if fit == "main" else self.directory / "baselines" / fit
        return FitFolder(base / "checkpoints", self.settings.recorder.checkpoint_seconds)
