"""The data set to transfer to: its training rows, as each candidate takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from jlrun.data.rows import Rows
from jlrun.data.specs import Spec
from jlrun.data.streams import Stream
from jlrun.engine import Engine
from jlrun.errors import UserError
from jlrun.runs.building import make_engine
from jlrun.runs.datasets import choose_modalities, load_splits, task_specs
from jlrun.runs.settings import RunSettings
from jlrun.tasks import Binary, Multiclass, Multilabel, Regression, TaskSpec

RANKED = (Multiclass, Binary, Multilabel, Regression)


@dataclass(frozen=True)
class Target:
    """A data set to transfer to.

    Attributes:
        where: its config path, for errors.
        rows: those for training; nothing is asked of any others.
        specs: modality -> what the rows are, of the modalities in use.
        tasks: those that candidates are ranked for.
        engine: where and how features are computed.
        batch_size: rows at a time.
    """

    where: str
    rows: Rows
    specs: Mapping[str, Spec]
    tasks: tuple[TaskSpec, ...]
    engine: Engine
    batch_size: int

    def stream(self, model_specs: Mapping[str, Spec]) -> Stream:
        """Return the rows as a model takes them.

        Args:
            model_specs: modality -> what the model takes; other modalities are left out.

        Raises:
            UserError: if a modality cannot be converted.
        """
        return Stream(
            "rank",
            self.rows,
            specs={m: self.specs[m] for m in model_specs},
            model_specs=model_specs,
            batch_size=self.batch_size,
            seed=0,
            device=self.engine.device,
            memory_budget=self.engine.memory_budget,
            workers=self.engine.workers,
            channels_last=self.engine.channels_last,
        )

    def labelled(self, task: TaskSpec) -> NDArray[np.bool_]:
        """Return which rows have a target for the task, ``(N,)``."""
        mask = self.rows.labelled.get(task.column)
        return np.ones(len(self.rows), bool) if mask is None else mask.numpy()

    def column(self, task: TaskSpec) -> NDArray:
        """Return the task's targets of the labelled rows, ``(N,)`` or ``(N, C)``."""
        return self.rows.targets[task.column].numpy()[self.labelled(task)]


def load_targets(settings: RunSettings) -> list[Target]:
    """Return the data sets to transfer to: in mode=transfer the target, else all of the config's.

    Raises:
        UserError: for whatever is wrong with the data, too few rows or classes, or tasks with maps.
    """
    engine = make_engine(settings.engine)
    nodes = {name: node for name, node in settings.data.nodes.items() if name != "source"}
    data = replace(settings.data, nodes=nodes)
    modalities = choose_modalities(data)
    found = []
    for name, node in nodes.items():
        splits = load_splits(data, name, modalities)
        target = Target(
            where=name,
            rows=splits.train,
            specs={m: splits.modalities[m] for m in modalities},
            tasks=task_specs(name, node, splits, data.tasks),
            engine=engine,
            batch_size=data.evaluation_batch,
        )
        for task in target.tasks:
            _check_rankable(target, task)
        found.append(target)
    return found


def _check_rankable(target: Target, task: TaskSpec) -> None:
    fail = partial(UserError.of, f"{target.where}.tasks.{task.column}")
    if not isinstance(task.task, RANKED):
        kind = type(task.task).__name__
        raise fail(f"sources are not ranked for tasks of kind {kind}; choose others: tasks=[…]")
    column = target.column(task)
    if len(column) < 2:
        raise fail(f"{len(column)} labelled training rows are too few: at least 2")
    if isinstance(task.task, Multilabel):
        if not np.any(column):
            raise fail(f"none of the {len(column)} training rows has any of the labels")
        return
    values, counts = np.unique(column, return_counts=True)
    if len(values) < 2:
        what = "value" if isinstance(task.task, Regression) else "class"
        raise fail(f"all {len(column)} training rows have the same {what}: two are needed")
    if not isinstance(task.task, Regression) and counts.max() == 1:
        raise fail(
            f"{len(column)} training rows of {len(values)} classes are too few: a class with two "
            "is needed; use more shots or a larger limit"
        )
