"""Data set: the rows of each split, with the tasks and modalities of their columns; its check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, get_args

from torch import Tensor

from jlrun.data.rows import Rows, TensorRows
from jlrun.data.specs import ImageSpec, SeriesSpec, Spec
from jlrun.errors import Problem, UserError
from jlrun.files.atomic import write_text


class DatasetReport(Protocol):
    """Report on a data set: lines of the log, warnings, entries of results, files."""

    def lines(self, where: str) -> Sequence[str]:
        """Return log lines for the start of a run; ``where`` is the data set's config path."""
        ...

    def warnings(self) -> Sequence[str]:
        """Return the lines, without that path, on what makes scores doubtful."""
        ...

    def to_json(self) -> Mapping[str, Any]:
        """Return the entry of ``result.json``."""
        ...

    def files(self) -> Mapping[str, str]:
        """Return name -> content of files for the run directory."""
        ...


@dataclass(frozen=True)
class Dataset:
    """A data set as it lies on disk (or in a library), before subsets and splits.

    Attributes:
        train: rows for training, and for validation where ``val`` is None.
        modalities: modality -> spec of its inputs.
        classes: task -> class names; an empty tuple for regression, depth and normals, one name
            per label for multilabel. The first task is the main one: it stratifies splits and
            shots.
        val: rows of an official validation split, if there is one.
        test: rows of an official test split; None: one is split off ``train``.
        groups: int64, the group of each row of ``train``; rows of a group stay in one split. None:
            rows are independent.
        times: float64, the time of each row of ``train``; then training rows are before validation
            rows, and these before test rows. None: rows have no order.
        fit: indices of the rows of ``train`` that are trained on -> the same data set, with
            everything fitted that depends on those rows alone: vocabularies, levels, means.
            None: nothing to fit, or fitted already.
        adopt: specs of a trained model -> the data set, whose ``fit`` keeps these specs for the
            modalities that both have, so that the model can read its rows.
        units: regression task -> mean and standard deviation of its training targets, in whose
            units it is learned, then their scale (`jlrun.tasks.target_scales`), if it has one. A
            task without an entry is learned in its own units, unless its targets are float64, whose
            range float32 outputs may not cover: then they are measured.
        report: log lines, warnings and files on the data set; None: none.
        incomplete: why no model can be trained on it alone, such as no labels; None: it can.
    """

    train: Rows
    modalities: Mapping[str, Spec]
    classes: Mapping[str, tuple[str, ...]]
    val: Rows | None = None
    test: Rows | None = None
    groups: Tensor | None = None
    times: Tensor | None = None
    fit: Callable[[Tensor], Dataset] | None = None
    adopt: Callable[[Mapping[str, Spec]], Dataset] | None = None
    units: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    report: DatasetReport | None = None
    incomplete: Problem | None = None


def report_lines(reports: Mapping[str, DatasetReport]) -> list[str]:
    """Return the log lines of all data sets, each with the name of its stream."""
    return [f"{name}: {line}" for name, report in reports.items() for line in report.lines(name)]


def report_warnings(reports: Mapping[str, DatasetReport]) -> list[str]:
    """Return the warnings of all data sets, each with the name of its stream."""
    return [f"{name}: {line}" for name, report in reports.items() for line in report.warnings()]


def write_reports(reports: Mapping[str, DatasetReport], directory: Path) -> None:
    """Write the files of all data sets into a run directory.

    Files of the target, or of the only data set, keep their names; others get their stream's name.
    """
    for name, report in reports.items():
        plain = name == "target" or len(reports) == 1
        for file, content in report.files().items():
            path = Path(file)
            own = f"{path.stem}_{name.replace('.', '_')}{path.suffix}"
            write_text(directory / (file if plain else own), content)


_ROWS = ("targets", "labelled", "num_bytes", "fetch", "__len__")


def well_formed(found: Any, target: str, where: str) -> Dataset:
    """Return the data set, after a check of its type and parts.

    Args:
        found: what the function returned.
        target: path of the function.
        where: config path of the data set, for errors.

    Raises:
        UserError: if it is not a `Dataset`, or its parts have other types.
    """
    if not isinstance(found, Dataset):
        expected = "jlrun.data.dataset.Dataset(train, modalities, classes)"
        message = f"'{target}' returned {_kind(found)}, and must return a {expected}"
        raise UserError.of(f"{where}._target_", message)
    problems = [*_wrong_rows(found), *_wrong_names(found)]
    problems = problems or [*_wrong_sizes(found)]
    if problems:
        wrong = [
            Problem(f"{where}._target_", f"of what '{target}' returned, {p}") for p in problems
        ]
        raise UserError(wrong)
    return found


def _wrong_rows(dataset: Dataset) -> Iterator[str]:
    for split in ("train", "val", "test"):
        rows = getattr(dataset, split)
        if rows is None and split != "train":
            continue
        lacking = [name for name in _ROWS if not hasattr(rows, name)]
        if rows is None or lacking:
            fix = "make rows with jlrun.data.rows.TensorRows or FileRows"
            yield f"{split} is {_kind(rows)}, which has no {', '.join(lacking)}; {fix}"
            continue
        for task in dataset.classes if isinstance(dataset.classes, Mapping) else ():
            if not isinstance(rows.targets.get(task), Tensor):
                yield f"{split} has no tensor of targets for the task '{task}'"


def _wrong_sizes(dataset: Dataset) -> Iterator[str]:
    """Yield the modalities of fixed size that have another one in some split, of rows in memory."""
    splits = {split: getattr(dataset, split) for split in ("train", "val", "test")}
    held = {split: rows for split, rows in splits.items() if isinstance(rows, TensorRows)}
    for name, spec in dataset.modalities.items():
        if not isinstance(spec, ImageSpec | SeriesSpec):
            continue
        sizes = {split: rows.shape(name) for split, rows in held.items() if len(rows)}
        if len(set(sizes.values())) > 1:
            shown = (f"{' × '.join(map(str, size))} in {split}" for split, size in sizes.items())
            yield f"'{name}' is {', '.join(shown)}: bring all splits to one size"


def _wrong_names(dataset: Dataset) -> Iterator[str]:
    if not isinstance(dataset.modalities, Mapping) or not dataset.modalities:
        yield f"modalities is {_kind(dataset.modalities)}; expected a modality -> its spec"
    else:
        for name, spec in dataset.modalities.items():
            if not isinstance(spec, get_args(Spec)):
                kinds = ", ".join(kind.__name__ for kind in get_args(Spec))
                yield f"modalities['{name}'] is {_kind(spec)}; expected one of {kinds}"
    if not isinstance(dataset.classes, Mapping) or not dataset.classes:
        yield f"classes is {_kind(dataset.classes)}; expected a task -> the names of its classes"
        return
    for task, names in dataset.classes.items():
        if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
            yield f"classes['{task}'] is {_kind(names)}; expected a tuple of names"


def _kind(found: Any) -> str:
    """Return the type of an object in words."""
    if found is None:
        return "nothing"
    size = f" of {len(found)}" if isinstance(found, tuple | list | dict) else ""
    return f"{type(found).__name__}{size}" if size else f"a {type(found).__name__}"
