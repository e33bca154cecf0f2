"""Any aggregator of TorchJD."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from jlrun.errors import UserError, did_you_mean
from jlrun.objective.weightings.base import GradientWeighting, TaskGradients

# Weightings here of the same method: with state in checkpoints and no further packages.
_OURS = {
    "CAGrad": "cagrad",
    "DualProj": "dualproj",
    "ExcessMTL": "excess",
    "FairGrad": "fairgrad",
    "GradVac": "gradvac",
    "NashMTL": "nash",
    "UPGrad": "upgrad",
}


class TorchJD(GradientWeighting):
    """Aggregate the task gradients with a class of `torchjd.aggregation`, named in the config.

    Rey & Quinton, "Jacobian Descent for Multi-Objective Optimization", arXiv 2406.16232, 2024, and
    what each class cites. Tasks without labels in a step are left out of the matrix. Where the
    aggregator combines rows with weights, these are recorded; else weights are recorded as 1.

    Args:
        tasks: names of the tasks.
        aggregator: name of the class; those with state between steps are not supported.
        options: keywords of its constructor. A mapping from tasks to numbers becomes a vector with
            one entry for each task, for example ``{pref_vector: {digit: 1, parity: 2}}``.

    Raises:
        UserError: if there is no such aggregator, it keeps state, its options are invalid, or a
            package that it needs is missing.
    """

    def __init__(
        self,
        tasks: tuple[str, ...],
        aggregator: str = "AlignedMTL",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(tasks)
        self._class = _find(aggregator)
        self._options = dict(options or {})
        self._per_task = [key for key, value in self._options.items() if isinstance(value, Mapping)]
        _check_tasks_have_values({key: self._options[key] for key in self._per_task}, tasks)
        self.reuses_weights = self._is_weighted(self._try_out())

    def check(self, known: Collection[str]) -> None:
        """Check that options are of tasks that exist."""
        for key in self._per_task:
            for name in self._options[key]:
                if name not in known:
                    where = f"weighting.options.{key}.{name}"
                    raise UserError.of(where, f"there is no such task.{did_you_mean(name, known)}")

    def forward(self, gradients: TaskGradients) -> Tensor:
        jacobian = gradients.jacobian
        rows = gradients.active.nonzero().flatten()
        self.last_weights = gradients.active.to(self.last_weights)
        if len(rows) == 0:
            return torch.zeros_like(jacobian[0])
        matrix = jacobian[rows]
        aggregator = self._make([self.tasks[int(row)] for row in rows], matrix)
        if not self._is_weighted(aggregator):
            return aggregator(matrix)
        weights = aggregator.weighting(matrix)
        self.last_weights[rows] = weights.to(self.last_weights)
        return weights @ matrix

    def _make(self, tasks: Collection[str], like: Tensor) -> Any:
        """Return the aggregator of ``tasks``, with vectors of the device and dtype of ``like``."""
        vectors = {
            key: torch.tensor([float(self._options[key][task]) for task in tasks]).to(like)
            for key in self._per_task
        }
        return self._class(**(self._options | vectors))

    def _try_out(self) -> Any:
        """Return the aggregator of all tasks, after a first call on orthogonal gradients."""
        matrix = torch.eye(len(self.tasks))
        try:
            with torch.random.fork_rng(devices=[]):
                aggregator = self._make(self.tasks, matrix)
                aggregator(matrix)
        except ImportError as error:
            message = " ".join(str(error).split()).rstrip(".")
            raise UserError.of("weighting.aggregator", message + _ours(self._class)) from error
        except (TypeError, ValueError, AttributeError, RuntimeError) as error:
            message = f"{self._class.__name__} rejects it: {' '.join(str(error).split())}"
            raise UserError.of("weighting.options", message) from error
        return aggregator

    @staticmethod
    def _is_weighted(aggregator: Any) -> bool:
        return isinstance(aggregator, _library().WeightedAggregator)


def _library() -> Any:
    # Imported late: it takes seconds, which only users of the aggregator pay.
    try:
        return importlib.import_module("torchjd.aggregation")
    except ModuleNotFoundError as error:
        raise UserError.of("weighting", 'it needs a package: pip install "torchjd"') from error


def _find(name: str) -> type:
    """Return the class of a stateless aggregator."""
    library = _library()
    bases = (library.Aggregator, library.WeightedAggregator, library.GramianWeightedAggregator)
    found = {
        item.__name__: item
        for item in vars(library).values()
        if inspect.isclass(item) and issubclass(item, library.Aggregator) and item not in bases
    }
    if name not in found:
        message = f"TorchJD has no aggregator '{name}'.{did_you_mean(name, sorted(found))}"
        raise UserError.of("weighting.aggregator", message)
    # The interface that TorchJD gives to everything with a state to reset.
    if issubclass(found[name], importlib.import_module("torchjd").Stateful):
        message = f"{name} keeps a state between steps that a resumed run would lose"
        raise UserError.of("weighting.aggregator", message + _ours(found[name]))
    return found[name]


def _ours(aggregator: type) -> str:
    name = _OURS.get(aggregator.__name__)
    return f"; use weighting={name} instead" if name else ""


def _check_tasks_have_values(
    options: Mapping[str, Mapping[str, Any]], tasks: Collection[str]
) -> None:
    for key, values in options.items():
        for task in tasks:
            value = values.get(task)
            if isinstance(value, bool) or not isinstance(value, int | float):
                where = f"weighting.options.{key}.{task}"
                found = "nothing" if value is None else f"'{value}'"
                raise UserError.of(where, f"{found} found; each task needs a number")
