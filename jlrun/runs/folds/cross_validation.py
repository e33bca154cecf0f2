"""Cross-validation: train a run for each fold in its own directory, and write what they found."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from jlrun.config import check_values
from jlrun.config.compose import Composed
from jlrun.config.folds import folded, num_folds, of_fold
from jlrun.config.nodes import data_nodes
from jlrun.errors import Problem, UserError
from jlrun.files.atomic import read_json, reading, write_json, write_text
from jlrun.files.lock import held
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.recorders.chosen import Recorders
from jlrun.reporting.recorders.formats import format_score, format_seconds
from jlrun.reporting.recorders.header_lines import fact_lines, short_path
from jlrun.reporting.recorders.plain import LogRecorder, PlainRecorder, finish_lines
from jlrun.reporting.recorders.result_table import primary_metric
from jlrun.reporting.result import Result, read_result
from jlrun.runs import execution, run_inputs
from jlrun.runs.description import describe_environment
from jlrun.runs.endings import recorded_end, unfinished
from jlrun.runs.folds.fold_runs import check_same_data, run_of
from jlrun.runs.folds.fold_summary import fold_result
from jlrun.runs.folds.out_of_fold import out_of_fold_csv, predictions_of
from jlrun.runs.given_tables import placed
from jlrun.runs.job import Job
from jlrun.runs.rehearsal import changed_settings
from jlrun.runs.saved_run import check_links, load_any_config
from jlrun.runs.settings import RunSettings
from jlrun.training.interruption import interruptible
from jlrun.training.recorder import Recorder


def cross_validate(composed: Composed, watched_by: execution.Watching = None) -> Result:
    """Train the folds of a checked config in a new directory, each a run of its own.

    Args:
        composed: the config.
        watched_by: of each fold, as in `jlrun.runs.execution.execute`.

    Raises:
        UserError: if the data is wrong, or the directory holds a run already; nothing is written.
        RunError, Interrupted: as `jlrun.runs.execution.execute`; `resume_folds` goes on from there.
    """
    with held(composed.run_dir, "hydra.run.dir"):
        job, write_inputs = run_inputs.new_job(composed)
        run, folds = RunDirectory(composed.run_dir), composed.of_folds

        def write() -> None:
            if folds:
                run.path.mkdir(parents=True, exist_ok=True)
                write_json(run.fold_values, {"folds": folds})
            write_inputs()

        with placed(composed):
            watched = replace(job, watched_by=watched_by)
            whole = _CrossValidation.of(watched, composed.config, composed.own_batch_size, folds)
            return whole.run(write)


def resume_folds(
    directory: Path, epochs: int | None = None, watched_by: execution.Watching = None
) -> Result:
    """Go on with a cross-validation; folds that are complete stay as they are.

    Args:
        directory: of all folds.
        epochs: more epochs, which folds can't be given together.
        watched_by: as in `cross_validate`.

    Raises:
        UserError: if it is complete, or its config is not valid (any more).
        RunError, Interrupted: as `cross_validate`.
    """
    if epochs is not None:
        first = shlex.quote(str(RunDirectory(directory).fold(0)))
        message = f"folds are resumed as they were begun; one alone: jlrun resume {first} epochs=N"
        raise UserError.of("epochs", message)
    check_links(directory)
    config, overrides = load_any_config(directory)
    if problems := check_values(config):
        file = RunDirectory(directory).config
        raise UserError([Problem(f"{file}: {p.where}", p.message) for p in problems])
    with held(directory, str(directory)):
        before = read_result(directory)
        if before is not None and before["status"] == "completed":
            raise UserError.of(str(directory), "this cross-validation is complete")
        job = Job(
            RunSettings.parse(config), directory, overrides, resumed=True, watched_by=watched_by
        )
        folds = _read_values(RunDirectory(directory).fold_values, config)
        return _CrossValidation.of(job, config, False, folds).run(lambda: None)


class _FoldValues(BaseModel):
    """Schema of ``fold_values.json``."""

    folds: list[dict[str, Any]]


def _read_values(file: Path, config: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the values of each fold that differ from the config; nothing if none does.

    Raises:
        UserError: if the file is damaged, or some fold's config with them is not valid.
    """
    if not file.is_file():
        return ()
    found = tuple(_FoldValues(**read_json(file, _FoldValues)).folds)
    path = folded(config)
    assert path is not None, "a config with folds"
    with reading(file):
        if len(found) != num_folds(config, path):
            raise ValueError(f"{num_folds(config, path)} folds were expected")
    for number in range(len(found)):
        if problems := check_values(of_fold(config, path, number, found)):
            raise UserError([Problem(f"{file}: {p.where}", p.message) for p in problems])
    return found


@dataclass
class _CrossValidation:
    """A cross-validation in progress.

    Attributes:
        job: its settings and directory.
        config: plain values.
        path: config path of the data set that has the folds.
        count: of folds, all repeats together.
        own_batch_size: whether the batch size must stay as it is.
        of_folds: values of each fold that differ from the config.
    """

    job: Job
    config: Mapping[str, Any]
    path: str
    count: int
    own_batch_size: bool
    of_folds: Sequence[Mapping[str, Any]]
    recorder: Recorder = field(init=False, default_factory=Recorder)

    @classmethod
    def of(
        cls,
        job: Job,
        config: Mapping[str, Any],
        own_batch_size: bool,
        of_folds: Sequence[Mapping[str, Any]],
    ) -> _CrossValidation:
        path = folded(config)
        assert path is not None, "a config with folds"
        return cls(job, config, path, num_folds(config, path), own_batch_size, of_folds)

    def run(self, write_inputs: Callable[[], None]) -> Result:
        """Train what is left of the folds; inputs are written once the first has found no fault."""
        with interruptible(), ExitStack() as stack:

            def begin() -> None:
                write_inputs()
                self._begin(stack)

            if self.job.resumed:
                self._begin(stack)
            for number in range(self.count):
                self._train(number, begin if number == 0 and not self.job.resumed else _nothing)
            return self._finish()

    def _begin(self, stack: ExitStack) -> None:
        """Write and print what is known; from now on the directory holds a result."""
        files = self.job.files
        unfinished(self.job, "interrupted", None).save()  # should a kill come
        write_json(files.environment, describe_environment())
        shown = self.job.settings.recorder.progress != "none"
        parts = [LogRecorder(files.log), *([PlainRecorder(sys.stdout)] if shown else [])]
        self.recorder = Recorders(parts)
        stack.enter_context(recorded_end(self.job, self.recorder))
        for line in (*self._header(), "", *self.job.inferred):
            self.recorder.message(line)

    def _header(self) -> list[str]:
        node = data_nodes(self.config)[self.path]
        folds, repeats = node["folds"], node["repeats"]
        times = f", {repeats} times" if repeats > 1 else ""
        resumed = ", resumed" if self.job.resumed else ""
        title = f"jlrun {self.job.settings.strategy.mode}, cross-validated{resumed}"
        facts = {
            "folds": [f"{folds} of '{self.path}'{times}"],
            "changed": [f"{k}={v}" for k, v in changed_settings(self.job.overrides).items()],
            "run": [short_path(self.job.directory)],
        }
        return [title, *fact_lines(facts)]

    def _train(self, number: int, begin: Callable[[], None]) -> None:
        """Train a fold, go on with it, or leave it as it is, and say what it found."""
        files = RunDirectory(self.job.files.fold(number))
        result = read_result(files.path) if files.result.exists() else None
        if result is None or result["status"] != "completed":
            if files.config.exists():
                done = execution.resume(files.path, watched_by=self.job.watched_by)
            else:
                done = execution.execute(self._of_fold(number), begin, self.job.watched_by)
            result = done.to_json()
        self.recorder.message(_line(result, number, self.count))

    def _of_fold(self, number: int) -> Composed:
        config = of_fold(self.config, self.path, number, self.of_folds)
        if config["recorder"]["progress"] == "auto":
            quiet = "none" if number else "messages"  # which are those of the data, for all folds
            config["recorder"] = {**config["recorder"], "progress": quiet}
        overrides = [*self.job.overrides, f"{self.path}.fold={number}"]
        directory = self.job.files.fold(number)
        return Composed(config, overrides, directory, own_batch_size=self.own_batch_size)

    def _finish(self) -> Result:
        directory, node = self.job.directory, data_nodes(self.config)[self.path]
        runs = [run_of(directory, number, self.path) for number in range(self.count)]
        check_same_data(runs, directory)
        predictions = predictions_of(runs)
        if any(predictions):
            text = out_of_fold_csv(runs, predictions, runs[0].tasks, node["folds"])
            write_text(self.job.files.out_of_fold, text)
        result = fold_result(self.job, runs, predictions, node["folds"])
        result.save()
        for line in finish_lines(result.to_json(), directory):
            self.recorder.message(line)
        return result


def _nothing() -> None:
    """Nothing is to be written."""


def _line(result: Mapping[str, Any], number: int, count: int) -> str:
    """Return what a fold found: the main metric of each task, and the time of its training."""
    scores = [
        f"{task} {primary_metric(result, task)} "
        f"{format_score(metrics.get(primary_metric(result, task)))}"
        for task, metrics in result["test"].items()
    ]
    seconds = format_seconds(result["cost"]["train_seconds"])
    position = f"{number + 1:>{len(str(count))}}/{count}"
    return "  ".join([f"fold {position}", *scores, f"({seconds} of training)"])
