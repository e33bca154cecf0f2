"""Predictions of a fit's validation and test rows, kept while it is scored, and saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.errors import UserError
from jlrun.evaluation.weighted_scores import RowPredictions
from jlrun.files import atomic
from jlrun.tasks.image_sums import map_totals
from jlrun.tasks.objective import Objective

PREDICTIONS, VAL_PREDICTIONS = "predictions.safetensors", "val_predictions.safetensors"


class KeptPredictions:
    """Keeps probabilities and targets, as an `Observer`; of maps what their scores need."""

    def __init__(self) -> None:
        self._parts: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def see(self, objective: Objective, batch: Batch, probabilities: Tensor) -> None:
        """Take note of a batch that is scored."""
        task, target = objective.spec.task, batch.targets[objective.spec.column]
        if task.dense:
            sums = task.image_sums(probabilities, target)
            if sums is None:
                return
            probabilities, target = sums, map_totals(target)
        part = probabilities.cpu(), target.cpu()
        self._parts.setdefault(objective.label, []).append(part)

    def finish(self, step: int) -> None:
        """Nothing is recorded."""

    def by_task(self) -> dict[str, RowPredictions]:
        """Return label -> predictions of its labelled rows."""
        columns = {label: tuple(zip(*parts, strict=True)) for label, parts in self._parts.items()}
        return {label: RowPredictions(*map(torch.cat, found)) for label, found in columns.items()}


def save_predictions(
    folder: Path,
    predictions: Mapping[str, RowPredictions],
    positions: Mapping[str, Tensor] | None = None,
    name: str = PREDICTIONS,
) -> None:
    """Write the predictions into a fit's folder, atomically.

    Args:
        folder: of the fit.
        predictions: label -> predictions of its labelled rows.
        positions: label -> int64 ``(N,)``, where these rows are in the split; None: not kept.
        name: of the file.
    """
    known = positions or {}
    tensors = {f"{label}:position": known[label].contiguous() for label in predictions if known}
    for label, rows in predictions.items():
        tensors[f"{label}:probabilities"] = rows.probabilities.contiguous()
        tensors[f"{label}:target"] = rows.target.contiguous()
    atomic.replace(folder / name, safetensors.torch.save(tensors))


def load_positions(folder: Path) -> dict[str, Tensor]:
    """Return label -> where the rows of `load_predictions` are in the test split.

    Raises:
        UserError: if the file is damaged.
    """
    try:
        tensors = safetensors.torch.load((folder / PREDICTIONS).read_bytes())
    except safetensors.SafetensorError as error:
        message = f"is damaged ({error}); delete the run"
        raise UserError.of(str(folder / PREDICTIONS), message) from error
    named = {name.rpartition(":"): tensor for name, tensor in tensors.items()}
    return {label: found for (label, _, what), found in named.items() if what == "position"}


def load_predictions(folder: Path, name: str = PREDICTIONS) -> dict[str, RowPredictions]:
    """Return label -> predictions; nothing where the fit has none.

    Raises:
        UserError: if the file is damaged.
    """
    file = folder / name
    if not file.is_file():
        return {}
    try:
        tensors = safetensors.torch.load(file.read_bytes())
        labels = sorted({name.rpartition(":")[0] for name in tensors})
        return {
            label: RowPredictions(tensors[f"{label}:probabilities"], tensors[f"{label}:target"])
            for label in labels
        }
    except (safetensors.SafetensorError, KeyError) as error:
        raise UserError.of(str(file), f"is damaged ({error}); delete the run") from error
