"""Task: the base class of all kinds, and a task's spec on a data set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from torch import Tensor

from jlrun.errors import UserError
from jlrun.tasks.target_scales import LINEAR, Scale

if TYPE_CHECKING:
    import numpy as np

    WeightedScore = Callable[[np.ndarray], np.ndarray]

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


class Metric(Protocol):
    """Metric over batches: one of torchmetrics, or anything else with these methods.

    Attributes:
        update: takes in the probabilities of a batch's rows, and their targets.
        compute: returns the score of all rows, or name -> score: numbers, or tensors of one.
    """

    @property
    def update(self) -> Callable[..., Any]:
        """Function that takes note of a batch."""
        ...

    @property
    def compute(self) -> Callable[[], Any]:
        """Function that returns the score of all batches."""
        ...


class Task(ABC):
    """Kind of task: its targets, its loss and its metrics.

    ``primary`` is the metric that represents the task in means over tasks. ``compared`` are the
    metrics that Δm averages within the task; empty: the primary one alone. Metrics in
    `SMALLER_IS_BETTER` are better when smaller, all others when larger. A task with an option for
    the metric passes it to `prefer`.

    ``units`` are offset and scale of the units of logits and losses, on ``scale``
    (`jlrun.tasks.target_scales`) of the target.

    The targets of ``dense`` tasks are maps with a value for each pixel; their logits are maps
    ``(B, num_outputs, h, w)`` of any size, which loss and metrics resize to that of the target.
    """

    primary: str
    compared: tuple[str, ...] = ()
    dense: ClassVar[bool] = False
    units: tuple[float, float] = (0.0, 1.0)
    scale: Scale = LINEAR

    def prefer(self, metric: str | None) -> None:
        """Make ``metric`` the primary and the compared one; None: keep those of the class."""
        if metric is not None:
            self.primary, self.compared = metric, (metric,)

    def in_units(self, mean: float, std: float, *scale: float) -> Task:
        """Return the task, learned on targets on a scale, standardised by ``mean`` and ``std``.

        Only regression is standardised. Of a task with classes ``scale`` has the weights of its
        classes. Other tasks stay the same.
        """
        return self

    @abstractmethod
    def num_outputs(self, classes: tuple[str, ...]) -> int:
        """Number of logits for a target with these classes."""

    @abstractmethod
    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each row, ``(B,)``, from ``(B, num_outputs)`` and the target."""

    @abstractmethod
    def probabilities(self, logits: Tensor) -> Tensor:
        """Return the predictions that ensembles average: probabilities, or values in regression.

        They have the shape of ``logits``.
        """

    def log_odds(self, logits: Tensor) -> Tensor | None:
        """Return log p − log (1 − p) of each probability, of the same shape; None: not defined.

        Rows are ranked by them: unlike probabilities, they stay distinct near 0 and 1.
        """
        return None

    @abstractmethod
    def decide(self, probabilities: Tensor) -> Tensor:
        """Return the predicted target of each row, in the form of the target column."""

    @abstractmethod
    def metrics(self, classes: tuple[str, ...]) -> dict[str, Metric]:
        """Return fresh metrics, updated with ``(probabilities, target)``.

        Metrics with a true ``takes_log_odds`` get `log_odds` instead of probabilities, if defined.
        Both are float64, except for dense tasks. A metric that computes a dictionary yields a score
        for each entry.
        """

    def image_sums(self, probabilities: Tensor, target: Tensor) -> Tensor | None:
        """Return what the scores of a dense task need of each image, float64 ``(B, S)``.

        None: nothing is kept of its predictions, and its scores have no intervals.
        """
        return None

    def weighted_scores(
        self, probabilities: np.ndarray, target: np.ndarray
    ) -> Mapping[str, WeightedScore] | None:
        """Return metric -> its value for each of R weightings ``(R, N)`` of N rows.

        Args:
            probabilities: of the rows, float64 ``(N, …)``.
            target: of the rows.

        Returns:
            None for metrics that are those of the kind (`jlrun.evaluation.weighted_scores`).
        """
        return None

    @abstractmethod
    def invalid(self, targets: Tensor, classes: tuple[str, ...]) -> str:
        """Return why a column of targets is invalid; an empty string if it is valid."""


@dataclass(frozen=True)
class TaskSpec:
    """Task on a data set whose classes are known.

    Attributes:
        name: its name in results, unique on a data set.
        task: kind of the task.
        classes: class names, in the order of the logits; empty for regression.
        target: name of the target column; None: that of the task.
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
        """Number of outputs of the task's head."""
        return self.task.num_outputs(self.classes)

    def shares_head_with(self, other: TaskSpec) -> bool:
        """Whether the outputs of both have the same meaning, so that one head can serve both."""
        ours, theirs = self.task, other.task
        same_units = (ours.units, ours.scale) == (theirs.units, theirs.scale)
        return type(ours) is type(theirs) and same_units and self.classes == other.classes


def check_row_logits(logits: Tensor) -> None:
    """Check that logits are ``(B, outputs)``.

    Raises:
        UserError: if they are the maps of a dense head.
    """
    if logits.ndim > 2:
        raise UserError.of(
            "heads",
            "the head yields a map for each row, but a task has one target per row. Use "
            "heads=linear with a backbone that pools, or keep the tasks with maps: tasks=[…]",
        )
