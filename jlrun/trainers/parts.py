"""What every trainer turns into a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jlrun.data.streams import Stream
from jlrun.phase import Objective, Recipe
from jlrun.tasks import TaskSpec


@dataclass(frozen=True)
class Feed:
    """The streams of one data set's splits, and the tasks they are labelled for.

    Attributes:
        name: its path in the config, such as ``dataset`` or ``datasets.mnist``.
        train, val, test: the splits.
        tasks: the tasks in use, the main one first.
    """

    name: str
    train: Stream
    val: Stream
    test: Stream
    tasks: tuple[TaskSpec, ...]

    def num_test_rows(self) -> dict[str, int]:
        """Return task -> labelled rows of the test split."""
        rows = self.test.rows
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
    """Return what a task's own head is called: its name; names of modules have no dots."""
    return spec.name.replace(".", "/")


@dataclass(frozen=True)
class Parts:
    """Collaborators of a plan, built from the config.

    Attributes:
        recipe: how every phase optimises.
        modalities: those in use.
        epochs: of the main phase.
        baselines: whether baselines are trained.
    """

    recipe: Recipe
    modalities: tuple[str, ...]
    epochs: int
    baselines: bool
