"""What every data set returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from jlrun.data.rows import Rows
from jlrun.data.specs import Spec
from jlrun.errors import Problem
from jlrun.files.atomic import write_text


class DatasetReport(Protocol):
    """What a data set has to say of itself in a run."""

    def lines(self, where: str) -> Sequence[str]:
        """Return what is to be told when a run starts, of the data set at this config path."""
        ...

    def warnings(self) -> Sequence[str]:
        """Return those of the lines, without that path, that make scores doubtful."""
        ...

    def to_json(self) -> Mapping[str, Any]:
        """Return what belongs into ``result.json``."""
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
        fit: indices of the rows of ``train`` that are trained on -> the same rows in the same
            order, with all that must be learned from those alone: vocabularies, levels, means.
            None: there is no such thing, or it has been done.
        adopt: specs that a model has learned already -> the data set, whose ``fit`` takes over
            those of modalities that it has too, so that the model can read its rows.
        units: regression task -> mean and standard deviation of its training targets, in whose
            units it is learned; a task without an entry is learned as it stands, unless its targets
            are float64, which float32 outputs may not reach: their units are measured.
        account: what the data set has to say of itself; None: nothing.
        incomplete: what keeps it from being learned from alone, such as no labels; None: nothing.
    """

    train: Rows
    modalities: Mapping[str, Spec]
    classes: Mapping[str, tuple[str, ...]]
    val: Rows | None = None
    test: Rows | None = None
    groups: Tensor | None = None
    fit: Callable[[Tensor], Dataset] | None = None
    adopt: Callable[[Mapping[str, Spec]], Dataset] | None = None
    units: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    account: DatasetReport | None = None
    incomplete: Problem | None = None


def told(accounts: Mapping[str, DatasetReport]) -> list[str]:
    """Return the lines of all data sets, each with the name of its stream."""
    return [f"{name}: {line}" for name, account in accounts.items() for line in account.lines(name)]


def warnings(accounts: Mapping[str, DatasetReport]) -> list[str]:
    """Return what makes the scores of data sets doubtful, each with the name of its stream."""
    return [f"{name}: {line}" for name, account in accounts.items() for line in account.warnings()]


def write_accounts(accounts: Mapping[str, DatasetReport], directory: Path) -> None:
    """Write the files of all data sets into a run directory.

    Those of the target, or of the only data set, have the plain names.
    """
    for name, account in accounts.items():
        plain = name == "target" or len(accounts) == 1
        for file, content in account.files().items():
            path = Path(file)
            own = f"{path.stem}_{name.replace('.', '_')}{path.suffix}"
            write_text(directory / (file if plain else own), content)
