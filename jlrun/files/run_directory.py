"""Run directory: where the files of a run, and of a sweep, lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

OUTPUTS = "outputs"  # folder of runs, in the working directory
BEST, LAST = "best", "last"  # checkpoints: the selected weights, those that training continues from
TABLE, BAD_ROWS = "table.json", "bad_rows.csv"  # of a data set that is a table


@dataclass(frozen=True)
class RunDirectory:
    """The folder of a run, which need not exist.

    Attributes:
        path: of the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The resolved config; its presence makes a folder a run."""
        return self.path / "config.yaml"

    @property
    def overrides(self) -> Path:
        """The overrides of the user, a list."""
        return self.path / "overrides.yaml"

    @property
    def inputs(self) -> Path:
        """Folder of the tables that a program gave as frames."""
        return self.path / "inputs"

    @property
    def result(self) -> Path:
        """Status and scores."""
        return self.path / "result.json"

    @property
    def metrics(self) -> Path:
        """Every scalar of every step that was recorded."""
        return self.path / "metrics.csv"

    @property
    def model(self) -> Path:
        """Input specs, heads and classes that the model depends on."""
        return self.path / "model.json"

    @property
    def calibration(self) -> Path:
        """Temperatures and thresholds that were fitted to validation rows."""
        return self.path / "calibration.json"

    @property
    def fingerprint(self) -> Path:
        """Hashes of the rows of all splits."""
        return self.path / "fingerprint.safetensors"

    @property
    def environment(self) -> Path:
        """Versions, machine and device."""
        return self.path / "environment.json"

    @property
    def log(self) -> Path:
        """Messages, and tracebacks of faults."""
        return self.path / "log.txt"

    @property
    def trace(self) -> Path:
        """Trace of a few steps, of ``debug=profile``."""
        return self.path / "profile" / "trace.json"

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard's event files."""
        return self.path / "tb"

    @property
    def figures(self) -> Path:
        """Folder of figures."""
        return self.path / "figures"

    @property
    def table(self) -> Path:
        """How the columns of a table are read."""
        return self.path / TABLE

    @property
    def splits(self) -> Path:
        """The split of each row."""
        return self.path / "splits.csv"

    @property
    def test_predictions(self) -> Path:
        """Truth and prediction of each test row."""
        return self.path / "predictions" / "test.csv"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints of the main fit."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Checkpoint of the selected weights."""
        return self.checkpoints / BEST

    @property
    def weights(self) -> Path:
        """The selected weights."""
        return self.best / "model.safetensors"

    @property
    def baselines(self) -> Path:
        """Folder of the baselines of a run, or of those that the jobs of a sweep share."""
        return self.path / "baselines"

    @property
    def decoded(self) -> Path:
        """Folder of decoded files that jobs of a sweep or a study share, or epochs of a run."""
        return self.path / ".decoded"

    def baseline_checkpoints(self, fit: str) -> Path:
        """Return the folder of the checkpoints of a baseline."""
        return self.baselines / fit / "checkpoints"

    @property
    def folds(self) -> Path:
        """Folder of the runs of a cross-validation."""
        return self.path / "folds"

    def fold(self, number: int) -> Path:
        """Return the run directory of a fold."""
        return self.folds / str(number)

    @property
    def fold_values(self) -> Path:
        """Values of each fold of a cross-validation that differ from its config."""
        return self.path / "fold_values.json"

    @property
    def out_of_fold(self) -> Path:
        """Predictions of the rows of all folds, each by a model that did not learn from it."""
        return self.path / "out_of_fold.csv"

    @property
    def lock(self) -> Path:
        """Lock file of the process that writes."""
        return self.path / ".lock"

    @property
    def lock_holder(self) -> Path:
        """Describes the process that holds the lock, for messages."""
        return self.path / ".lock.json"

    @property
    def study(self) -> Path:
        """Journal and answers of the study whose folder this is."""
        return self.path / "study.json"

    @property
    def sweep_config(self) -> Path:
        """Config of the sweep whose folder this is, written by Hydra's sweepers."""
        return self.path / "multirun.yaml"

    @property
    def sweep_state(self) -> Path:
        """What a sweep was begun with, and whether it came to its end."""
        return self.path / "sweep.json"

    @property
    def output(self) -> Path:
        """What a job of a sweep printed, where several run at once."""
        return self.path / "output.txt"
