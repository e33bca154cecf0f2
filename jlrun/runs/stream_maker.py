"""Streams of a run's data sets: labelled ones for training and scoring, unlabelled ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from jlrun.config.build import build
from jlrun.config.slots import AUGMENT, VIEWS
from jlrun.data.augmentation.augment import Augment
from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.specs import Spec
from jlrun.data.splits import Splits
from jlrun.data.strata import has_class_column
from jlrun.data.streams import Stream
from jlrun.data.view import MaskedLabels
from jlrun.engine import Engine
from jlrun.errors import UserError
from jlrun.runs.datasets import task_specs
from jlrun.runs.settings import DataSettings
from jlrun.tasks import TaskSpec


@dataclass(frozen=True)
class StreamMaker:
    """Maker of the streams of a run.

    Attributes:
        settings: of the data.
        engine: where batches go, and how much memory they may take.
        splits: stream name -> rows of its data set.
        specs: modality -> what batches carry: what the model takes, and what terms ask for.
    """

    settings: DataSettings
    engine: Engine
    splits: Mapping[str, Splits]
    specs: Mapping[str, Spec]

    def labelled(self, name: str, with_views: bool) -> LabelledStreams:
        """Return the streams of a data set, for training with or without augmented views."""
        splits, augment = self.splits[name], self._augment(name)
        views = self._views if with_views else None
        return LabelledStreams(
            name=name,
            train=self._stream(
                name,
                splits.train,
                augment=augment,
                views=views,
                balanced_by=self._balanced_by(name),
            ),
            val=self._scored(name, splits.val),
            test=self._scored(name, splits.test),
            pool=self._stream(
                name,
                splits.pool,
                augment=replace(augment, mixup=0.0, cutmix=0.0),
                views=views,
                labelled=False,
            ),
            tasks=self._tasks(name),
        )

    def _tasks(self, name: str) -> tuple[TaskSpec, ...]:
        """Return the tasks in use; none where no label is needed, and there is none."""
        splits, node = self.splits[name], self.settings.nodes[name]
        if self.settings.inputs_alone and not any(splits.classes[task] for task in node["tasks"]):
            return ()
        return task_specs(name, node, splits, self._asked(name))

    def unlabelled(self, name: str, with_views: bool) -> Stream:
        """Return all training rows; those have labels that the run may learn from.

        Without views the rows are augmented as in training, but not mixed.
        """
        splits = self.splits[name]
        in_use = torch.isin(splits.pool.indices, splits.train.indices)
        return self._stream(
            name,
            splits.pool if bool(in_use.all()) else MaskedLabels(splits.pool, in_use),
            views=self._views if with_views else None,
            augment=None if with_views else replace(self._augment(name), mixup=0.0, cutmix=0.0),
            labelled=not (name == "target" and self.settings.hides_target_labels),
        )

    def _asked(self, name: str) -> tuple[str, ...] | None:
        """Return the tasks asked for, which are those of the target.

        A source without any of them keeps its own.
        """
        asked, nodes = self.settings.tasks, self.settings.nodes
        is_source = name != "target" and "target" in nodes
        return None if is_source and not set(asked or ()) & set(nodes[name]["tasks"]) else asked

    def _balanced_by(self, name: str) -> str | None:
        """Return the task whose classes are balanced in training batches.

        Raises:
            UserError: if rows have no one class of it.
        """
        task, splits = self.settings.nodes[name].get("balanced_by"), self.splits[name]
        if task is not None and not has_class_column(splits.train, task, splits.classes):
            fix = "name a task of binary, multiclass or ordinal targets, or null"
            raise UserError.of(f"{name}.balanced_by", f"rows of '{task}' have no one class; {fix}")
        return task

    def _augment(self, name: str) -> Augment:
        return build(self.settings.nodes[name]["augment"], AUGMENT)

    @cached_property
    def _views(self) -> Any:
        return build(self.settings.views, VIEWS)

    def _scored(self, name: str, rows: Any) -> Stream:
        return self._stream(name, rows, batch_size=self.settings.evaluation_batch)

    def _stream(self, name: str, rows: Any, **options: Any) -> Stream:
        return Stream(
            name,
            rows,
            specs={m: self.splits[name].modalities[m] for m in self.specs},
            model_specs=self.specs,
            seed=self.settings.seed,
            device=self.engine.device,
            memory_budget=self.engine.memory_budget,
            workers=self.engine.workers,
            channels_last=self.engine.channels_last,
            in_parts=self.engine.world.several,
            **{"batch_size": self.settings.batch_size, **options},
        )
