"""Labelled streams: the splits of one data set and the tasks they are labelled for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from jlrun.data.streams import Stream
from jlrun.tasks import TaskSpec
from jlrun.tasks.objective import Objective


@dataclass(frozen=True)
class LabelledStreams:
    """The streams of one data set's splits, and the tasks they are labelled for.

    Attributes:
        name: its path in the config, such as ``dataset`` or ``datasets.mnist``.
        train, val, test: the splits.
        pool: all training rows without labels, whatever the number of shots.
        tasks: the tasks in use, the main one first.
    """

    name: str
    train: Stream
    val: Stream
    test: Stream
    pool: Stream
    tasks: tuple[TaskSpec, ...]

    def num_test_rows(self) -> dict[str, int]:
        """Return task -> labelled rows of the test split."""
        return self.num_labels("test")

    def num_labels(self, split: Literal["train", "val", "test"]) -> dict[str, int]:
        """Return task -> labelled rows of a split."""
        rows = getattr(self, split).rows
        return {
            spec.name: int(rows.labelled[spec.column].sum())
            if spec.column in rows.labelled
            else len(rows)
            for spec in self.tasks
        }

    def objectives(
        self, heads: Mapping[str, str] | None = None, prefix: str = "", scale: float = 1.0
    ) -> tuple[Objective, ...]:
        """Return an objective per task.

        Args:
            heads: task -> head; a task without an entry has that of `head_name`.
            prefix: of the labels.
            scale: constant factor of the losses.
        """
        return tuple(
            Objective(
                label=f"{prefix}{spec.name}",
                stream=self.name,
                spec=spec,
                head=(heads or {}).get(spec.name, head_name(spec)),
                scale=scale,
            )
            for spec in self.tasks
        )


def head_name(spec: TaskSpec) -> str:
    """Return the name of a task's head: that of the task, without dots, as modules need."""
    return spec.name.replace(".", "/")
