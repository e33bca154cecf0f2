"""Result of a run: the content of ``result.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from jlrun.evaluation.saved_scores import SavedScores
from jlrun.files.atomic import REWRITE, read_json, write_json
from jlrun.files.run_directory import RunDirectory

SCHEMA = 1
Status = Literal["completed", "failed", "interrupted"]
Scores = Mapping[str, Mapping[str, float]]


class SavedResult(BaseModel):
    """Contract of ``result.json``; one of a job that was refused holds little."""

    status: Status
    mode: str | None = None
    seed: int | None = None
    overrides: list[str] = []
    error: str | None = None
    test: SavedScores | None = None
    val: SavedScores | None = None
    objective: dict[str, Any] | None = None
    primary: dict[str, str] | None = None
    selected: dict[str, Any] | None = None
    baselines: dict[str, SavedScores] | None = None
    gain: dict[str, Any] | None = None
    cost: dict[str, Any] | None = None


@dataclass(frozen=True)
class Result:
    """Result of a run; ``to_json`` is the contract with other programs.

    Attributes:
        directory: the run directory.
        status: completed, failed or interrupted.
        mode, seed, overrides: which run it was.
        error: what went wrong; None if nothing did.
        test, val: task -> metric -> score under the selected weights.
        objective: name, value and direction that selection goes by; None without validation rows.
        primary: task -> the metric that stands for it.
        selected: phase, epoch and step of the selected weights, and ``by`` what: ``last``, the last
            epoch, for want of validation rows.
        baselines: baseline -> task -> metric -> test score.
        gain: over the baselines, in percent, larger is better whatever the metric (published tables
            often print Δm with the opposite sign); None without baselines.
        model: number of parameters, and of trainable ones.
        cost: training time in seconds, throughput, steps and peak memory in bytes.
        extra: what only some runs have: ``source`` in transfer; ``data``, how many rows of a table
            were skipped and why; ``baselines_from``, baseline -> the
            run that trained it, for those that another run of the sweep trained; ``diagnosis``,
            how the tasks of the last phase got along, where their gradients were measured;
            ``per_class``, task -> class -> ``precision``, ``recall``, ``f1`` on the test split and
            ``rows``, in which it occurs there;
            ``intervals``, under ``test`` task -> metric -> the ends of its 95 % interval over the
            test rows (over images where they are maps), under ``baselines`` the same of each;
            ``reference_models``, task -> the model of scikit-learn that validation chose, and
            settings and scores of all;
            ``calibration`` and ``thresholds``, of tasks with classes, what was fitted to validation
            rows and its test scores (`jlrun.runs.calibration.calibration_report`);
            ``missing`` and ``contribution`` of several modalities
            (`jlrun.evaluation.missing.report`).
    """

    directory: Path
    status: Status
    mode: str
    seed: int
    overrides: tuple[str, ...]
    error: str | None = None
    test: Scores = field(default_factory=dict)
    val: Scores = field(default_factory=dict)
    objective: Mapping[str, Any] | None = None
    selected: Mapping[str, Any] | None = None
    primary: Mapping[str, str] = field(default_factory=dict)
    baselines: Mapping[str, Scores] = field(default_factory=dict)
    gain: Mapping[str, Any] | None = None
    model: Mapping[str, int] | None = None
    cost: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``result.json``."""
        return {
            "schema": SCHEMA,
            "status": self.status,
            "error": self.error,
            "mode": self.mode,
            "seed": self.seed,
            "overrides": list(self.overrides),
            "test": self.test,
            "val": self.val,
            "objective": self.objective,
            "primary": self.primary,
            "selected": self.selected,
            "baselines": self.baselines,
            "gain": self.gain,
            "model": self.model,
            "cost": self.cost,
            **self.extra,
        }

    def _repr_html_(self) -> str:
        from jlrun.reporting.display import result_html

        return result_html(self.directory.name, self.to_json())

    def save(self) -> None:
        """Write ``result.json`` in the run directory, atomically."""
        write_json(RunDirectory(self.directory).result, self.to_json())


def read_result(directory: Path) -> dict[str, Any] | None:
    """Return the content of a run's ``result.json``; None if there is none.

    Raises:
        UserError: if it is damaged.
    """
    file = RunDirectory(directory).result
    return read_json(file, SavedResult, REWRITE) if file.exists() else None
