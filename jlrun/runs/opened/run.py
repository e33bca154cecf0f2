"""Run: the files of a run directory as frames, and its model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jlrun.config.given import is_of_program
from jlrun.config.trust import also_trusting
from jlrun.errors import Interrupted, UserError, briefly, did_you_mean
from jlrun.files.atomic import read_json
from jlrun.files.run_directory import RunDirectory
from jlrun.reporting.display import result_html
from jlrun.reporting.result import read_result
from jlrun.runs.opened import frames
from jlrun.runs.opened.callbacks import Callbacks, watching
from jlrun.runs.opened.given_nodes import targets_in
from jlrun.runs.opened.vector_figure import FORMATS, VectorFigure
from jlrun.runs.saved_run import load_any_config

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

    from jlrun.runs.opened.plain_model import PlainModel

Scores = Mapping[str, Mapping[str, float]]


@contextmanager
def interruptions_in_python(directory: Path, targets: Sequence[str]) -> Iterator[None]:
    """Say of an interruption what goes on with the run in Python.

    Args:
        directory: of the run.
        targets: paths of its parts; those of the program must be given again elsewhere.

    Raises:
        Interrupted: if the user stops it.
    """
    try:
        yield
    except Interrupted:
        own = dict.fromkeys(path.rpartition(".")[2] for path in targets if is_of_program(path))
        again = f", parts=[{', '.join(own)}]" if own else ""
        call = f"jlrun.load({str(directory)!r}{again}).resume()"
        raise Interrupted(f"interrupted; to go on: {call}") from None


class Run:
    """A run in its directory. Every attribute is read from its files when it is asked for.

    Args:
        path: the run directory.
        name: what it is called in frames of several runs; None: the name of the folder.
        trust: packages whose classes it may have.
    """

    def __init__(self, path: Path, name: str | None = None, trust: Sequence[str] = ()) -> None:
        self.path = path
        self.name = name or path.name
        self._trust = tuple(trust)
        self._files = RunDirectory(path)

    @property
    def result(self) -> dict[str, Any]:
        """Content of ``result.json``; empty as long as there is none.

        Raises:
            UserError: if it is damaged.
        """
        return read_result(self.path) or {}

    @property
    def test(self) -> Scores:
        """Task -> metric -> test score under the selected weights; empty before the end."""
        return self.result.get("test") or {}

    @property
    def val(self) -> Scores:
        """Task -> metric -> score on validation rows; empty before the end."""
        return self.result.get("val") or {}

    @property
    def baselines(self) -> Mapping[str, Scores]:
        """Baseline -> task -> metric -> test score; empty before the end, or without any."""
        return self.result.get("baselines") or {}

    @property
    def gain(self) -> Mapping[str, Any]:
        """Gain over the baselines, as in ``result.json``; empty before the end, or without any."""
        return self.result.get("gain") or {}

    @property
    def status(self) -> str:
        """completed, failed or interrupted; unfinished: there is no result yet."""
        return self.result.get("status", "unfinished")

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration.

        Raises:
            UserError: if it is missing or damaged.
        """
        return load_any_config(self.path)[0]

    def table(self) -> pd.DataFrame:
        """Return the main test scores: a row for each task, as the command prints them.

        Columns: ``metric``; the score of the model (``joint``, ``fused`` or ``transfer``), with the
        ends of its 95 % interval over the test rows, ``low`` and ``high``; that of each baseline;
        ``gain`` over these in percent, larger is better.
        """
        return frames.main_scores_frame(self.result)

    @property
    def scores(self) -> pd.DataFrame:
        """Scores of the run and its baselines: fit, task, split, metric, value, and the ends of the
        95 % interval over the test rows, low and high."""
        return frames.scores_frame(self.result)

    @property
    def curves(self) -> pd.DataFrame:
        """Every number that was recorded: fit, phase, epoch, step, tag, value.

        Raises:
            UserError: if the file is damaged.
        """
        return frames.curves_frame(self._files.metrics)

    @property
    def predictions(self) -> pd.DataFrame:
        """Truth and prediction of each test row; of a cross-validation, of the rows of all folds.

        Raises:
            UserError: if there are none.
        """
        files = self._files
        path = files.out_of_fold if files.out_of_fold.is_file() else files.test_predictions
        return frames.predictions_frame(path, self._with_classes())

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of the figures."""
        return tuple(sorted(self._figure_files()))

    def _figure_files(self) -> dict[str, Path]:
        files = (f for suffix in FORMATS for f in self._files.figures.glob(f"*.{suffix}"))
        return {file.stem: file for file in files}

    def figure(self, name: str) -> Image | VectorFigure:
        """Return a figure, which a notebook shows; slashes in its name count as underscores.

        Its ``save`` writes it to a file: of ``recorder.figure_format`` svg or pdf as it is.

        Raises:
            UserError: if there is none of that name.
        """
        from PIL import Image

        name, files = name.replace("/", "_"), self._figure_files()
        if name not in files:
            where = str(self._files.figures)
            raise UserError.of(where, f"no figure '{name}'.{did_you_mean(name, self.figures)}")
        if files[name].suffix != ".png":
            return VectorFigure(files[name])
        with Image.open(files[name]) as image:
            image.load()
            return image

    @briefly
    def load_model(self, device: str = "cpu") -> PlainModel:
        """Return the selected model, a module from tensors by modality to logits by task.

        Args:
            device: where it computes.

        Raises:
            UserError: if there is none yet, or no such device.
        """
        from jlrun.runs.opened.plain_model import load_plain

        with also_trusting(self._trust):
            return load_plain(self.path, device)

    @briefly
    def predict(
        self,
        rows: pd.DataFrame | str | Path,
        *,
        on_error: Literal["fail", "skip"] = "fail",
        columns: Sequence[str] = (),
        probabilities: Literal["all", "winner"] = "all",
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Return predictions of new rows by the selected model, as ``jlrun predict`` writes them.

        Args:
            rows: a frame with the columns that the run learned from, in which names of files are
                relative to the working directory; or the path of a table, image, folder, ``.npy``
                or ``.npz``. Those of a frame keep its index.
            on_error: what happens to rows that can't be used.
            columns: of a table, to be passed through.
            probabilities: of all classes, or of the predicted one alone.
            level: of the intervals of predicted numbers.

        Raises:
            UserError: if the run has no selected model, or rows can't be used.
        """
        from jlrun.runs.opened.predicted import predicted_frame

        with also_trusting(self._trust):
            return predicted_frame(
                self.path,
                rows,
                on_error=on_error,
                columns=columns,
                probabilities=probabilities,
                level=level,
            )

    @briefly
    def resume(self, epochs: int | None = None, callbacks: Callbacks = ()) -> Run:
        """Go on with an interrupted, killed or failed run, exactly, and return it.

        Args:
            epochs: of the main fit; also a complete run can be trained for more. None: as begun.
            callbacks: as of `jlrun.run`.

        Raises:
            UserError: if the run is complete, or its data or config are not what they were.
            RunError: if the run fails for a reason that one line explains.
            Interrupted: if the user stops it again.
        """
        from jlrun.runs import starting

        config, watched_by = self.config, watching(callbacks)
        with also_trusting(self._trust), interruptions_in_python(self.path, [*targets_in(config)]):
            starting.resume(self.path, epochs, watched_by, shown=True)
        return self

    def _with_classes(self) -> list[str]:
        if not self._files.model.is_file():
            return []
        heads: Mapping[str, Any] = read_json(self._files.model).get("heads", {})
        return [head["task"] for head in heads.values() if head.get("classes")]

    def __repr__(self) -> str:
        return f"Run('{self.path}', {self.status})"

    def _repr_html_(self) -> str:
        return result_html(self.name, self.result)
