"""What a task is, and a task on a data set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from jlrun.errors import UserError

if TYPE_CHECKING:
    from torchmetrics import Metric

SMALLER_IS_BETTER = frozenset(
    {
        "loss",
        "mae",
        "rmse",
        "median_error",
        "abs_err",
        "rel_err",
        "mean_angle",
        "median_angle",
        "labels_left_out",
    },
)


class Task(ABC):
    """What is learned: the kind of target, its loss and its metrics.

    ``primary`` names the metric that stands for the task in a mean over tasks. ``compared`` names
    those that Δm averages over within the task; empty: the primary one alone. Of the metrics in
    `SMALLER_IS_BETTER` less is better, of all others more. A task whose class lets a user choose
    the metric hands the choice to `prefer`.

    ``units`` are zero and one of the scale on which logits and losses are.

    The targets of ``dense`` tasks are maps with a value for each pixel, their logits maps
    ``(B, num_outputs, h, w)`` of any size, which loss and metrics bring to that of the target.
    """

    primary: str
    compared: tuple[str, ...] = ()
    dense: ClassVar[bool] = False
    units: tuple[float, float] = (0.0, 1.0)

    def prefer(self, metric: str | None) -> None:
        """Let a metric stand for the task, in Δm too; None: those of the class."""
        if metric is not None:
            self.primary, self.compared = metric, (metric,)

    def in_units(self, mean: float, std: float) -> Task:
        """Return the task learned in units of ``std`` from ``mean``; only regression has units."""
        return self

    @abstractmethod
    def num_outputs(self, classes: tuple[str, ...]) -> int:
        """Number of logits for a target with these classes."""

    @abstractmethod
    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row, ``(B,)``, from ``(B, num_outputs)`` and the target."""

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the prediction as averaged by ensembles: probabilities, or values in regression.

        Of the shape of ``logits``.
        """

    def log_odds(self, logits: Tensor) -> Tensor | None:
        """Return log p − log (1 − p) of each probability, of the same shape; None: there are none.

        Unlike probabilities they never become equal near 0 and 1, so rows are ranked by them.
        """
        return None

    @abstractmethod
    def decide(self, probabilities: Tensor) -> Tensor:
        """Return the predicted target of each row, in the form of the target column."""

    @abstractmethod
    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        """Return fresh metrics, updated with ``(probabilities, target)``.

        One with a true ``takes_log_odds`` gets `log_odds` in the place of probabilities, where
        there are any. Both are float64, but for dense tasks. A metric that computes a dictionary
        gives a score for each of its entries.
        """

    @abstractmethod
    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        """Say what is wrong with a column of targets; an empty string if nothing is."""


@dataclass(frozen=True)
class TaskSpec:
    """A task on a data set whose classes are known.

    Attributes:
        name: what it is called in results; no other task of the same data is called so.
        task: kind of the task.
        classes: class names, in the order of the logits; empty for regression.
        target: name of the target column, where that is another.
    """

    name: str
    task: Task
    classes: tuple[str, ...]
    target: str | None = None

    @property
    def column(self) -> str:
        """Name of the target column."""
        return self.name if self.target is None else self.target

    @property
    def num_outputs(self) -> int:
        return self.task.num_outputs(self.classes)

    def shares_head_with(self, other: TaskSpec) -> bool:
        """Whether the outputs of both mean the same, so that one head can serve both."""
        ours, theirs = self.task, other.task
        alike = type(ours) is type(theirs) and ours.units == theirs.units
        return alike and self.classes == other.classes


def check_row_logits(logits: Tensor) -> None:
    """Check that logits are ``(B, outputs)``.

    Raises:
        UserError: if they are maps, as a dense head yields them.
    """
    if logits.ndim > 2:
        raise UserError.of(
            "heads",
            "the head yields a map for each row, but a task has one target per row. Use "
            "heads=linear with a backbone that pools, or keep the tasks with maps: tasks=[…]",
        )
