"""Trained model of a run as a plain module: tensors by modality in, logits by task out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from jlrun.data.batch import Batch
from jlrun.data.specs import AudioSpec, ImageSpec, SeriesSpec, Spec, TabularSpec, TextSpec
from jlrun.data.transforms import InputTransform, to_unit
from jlrun.errors import UserError, did_you_mean
from jlrun.models.joint_model import JointModel
from jlrun.runs.saved_model import load_teacher, read_description
from jlrun.tasks import TaskSpec

Tensors = Mapping[str, Tensor]


class PlainModel(nn.Module):
    """Selected model of a run, in evaluation mode.

    It takes inputs as the data set holds them, and normalises them itself: images ``(B, C, H, W)``,
    uint8 or floats in [0, 1] of any size; waves ``(B, L)`` in [-1, 1]; token ids ``(B, length)``;
    cells ``(B, N + C)`` and series ``(B, length, channels)`` in the units of the data. A modality
    that is left out is missing in all rows.

    Attributes:
        specs: modality -> what the model takes.
        tasks: task -> its kind and classes.
    """

    def __init__(
        self,
        model: JointModel,
        specs: Mapping[str, Spec],
        heads: Mapping[str, TaskSpec],
    ) -> None:
        super().__init__()
        self.model = model
        self.specs = dict(specs)
        self.tasks = {spec.name: spec for spec in heads.values()}
        self._heads = {spec.name: head for head, spec in heads.items()}

    def forward(self, inputs: Tensors, present: Tensors | None = None) -> dict[str, Tensor]:
        """Return task -> logits ``(B, outputs)``.

        Args:
            inputs: modality -> rows, on any device.
            present: modality -> Bool ``(B,)``, of modalities that some rows lack.

        Raises:
            UserError: if a modality is unknown, or rows do not have its shape.
        """
        batch = self._batch(inputs, present or {})
        logits = self.model(batch, tuple(self._heads.values())).logits
        return {task: logits[head] for task, head in self._heads.items()}

    def probabilities(self, inputs: Tensors, present: Tensors | None = None) -> dict[str, Tensor]:
        """Return task -> what it predicts, in the units of the data: probabilities of classes
        ``(B, C)``, or numbers ``(B, 1)``; arguments as in `forward`."""
        logits = self(inputs, present)
        return {task: self.tasks[task].task.probabilities(x.double()) for task, x in logits.items()}

    def encode(self, inputs: Tensors, present: Tensors | None = None) -> Tensor:
        """Return the fused features ``(B, D)``; arguments as in `forward`."""
        return self.model.encode(self._batch(inputs, present or {}))

    def _batch(self, inputs: Tensors, present: Tensors) -> Batch:
        for modality in (*inputs, *present):
            if modality not in self.specs:
                hint = did_you_mean(modality, self.specs)
                raise UserError.of("inputs", f"the model takes no '{modality}'.{hint}")
        if not inputs:
            raise UserError.of("inputs", f"is empty; give {', '.join(self.specs)}")
        sizes = {modality: len(rows) for modality, rows in inputs.items()}
        count = next(iter(sizes.values()))
        if set(sizes.values()) != {count}:
            raise UserError.of("inputs", f"modalities have different numbers of rows: {sizes}")
        absent = {m: torch.zeros(count, dtype=torch.bool) for m in self.specs if m not in inputs}
        given = {m: _checked(m, rows, self.specs[m]) for m, rows in inputs.items()}
        filler = {m: _zeros(count, self.specs[m]) for m in absent}
        device = next(self.parameters()).device
        batch = Batch({**given, **filler}, present={**present, **absent}).to(device)
        return InputTransform(self.specs, {}, device)(to_unit(batch))


def load_plain(directory: Path, device: str) -> PlainModel:
    """Return the selected model of a run.

    Args:
        directory: of the run.
        device: where it computes, such as ``cpu`` or ``cuda``.

    Raises:
        UserError: if the run has no selected model yet, or there is no such device.
    """
    place = _device(device)
    loaded = load_teacher(directory, place)
    heads = {head: loaded.heads[head] for head in read_description(directory)["scored"]}
    return PlainModel(loaded.model.requires_grad_(True), loaded.specs, heads).eval()


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError.of("device", f"'{name}' is no device of this machine ({reason})") from error
    return device


def _shape(spec: Spec) -> tuple[int, ...]:
    match spec:
        case ImageSpec():
            return spec.channels, spec.height, spec.width
        case AudioSpec():
            return (spec.num_samples,)
        case TextSpec():
            return (spec.length,)
        case TabularSpec():
            return (spec.width,)
        case SeriesSpec():
            return spec.length, spec.channels


def _dtype(spec: Spec) -> torch.dtype:
    if isinstance(spec, TextSpec):
        return torch.long
    return torch.float64 if isinstance(spec, TabularSpec | SeriesSpec) else torch.float32


def _zeros(count: int, spec: Spec) -> Tensor:
    return torch.zeros(count, *_shape(spec), dtype=_dtype(spec))


def _checked(modality: str, rows: Tensor, spec: Spec) -> Tensor:
    """Return the rows, if the model takes their shape; images and waves may have any size.

    Raises:
        UserError: if it does not.
    """
    shape, found = _shape(spec), tuple(rows.shape)
    free = {ImageSpec: (2, 3), AudioSpec: (1,)}.get(type(spec), ())
    fits = len(found) == len(shape) + 1 and all(
        axis in free or found[axis] == size for axis, size in enumerate(shape, 1)
    )
    if not fits:
        raise UserError.of("inputs", f"{modality}: rows of shape {found}, not {('B', *shape)}")
    return rows if rows.dtype == torch.uint8 else rows.to(_dtype(spec))
