"""Exported files that compute: how they are written, and run as their users would."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch

from jlrun.extras import import_extra
from jlrun.runs.exporting.program import Exportable, Tensors
from jlrun.runs.exporting.tracing import flat, naming_fault, quiet, trace, without_search

_LARGEST = 2**31 - 2**24  # bytes of a message of protocol buffers, with room for the graph
_EXTRA = "onnx"


class Runnable(ABC):
    """File with a run's program.

    Args:
        run: what it holds.

    Raises:
        UserError: if a library is not installed, or the format can't hold the model.
    """

    name: ClassVar[str]
    file: ClassVar[str]

    @abstractmethod
    def __init__(self, run: Exportable) -> None: ...

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the file."""

    @abstractmethod
    def predict(self, folder: Path, batches: Sequence[tuple[Tensors, Tensors]]) -> list[Tensors]:
        """Return what the file in ``folder`` predicts of each batch: task -> predictions."""


class TorchExport(Runnable):
    """Program of `torch.export`: ``torch.export.load(file).module()(inputs, present)``."""

    name = "torch_export"
    file = "model.pt2"

    def __init__(self, run: Exportable) -> None:
        self._program = trace(run)

    def save(self, folder: Path) -> None:
        with quiet():
            torch.export.save(self._program, folder / self.file)

    def predict(self, folder: Path, batches: Sequence[tuple[Tensors, Tensors]]) -> list[Tensors]:
        with quiet(), torch.no_grad():
            module = torch.export.load(folder / self.file).module()
            return [dict(module(*batch)) for batch in batches]


class Onnx(Runnable):
    """Model of ONNX, with inputs by the names of `flat` and outputs by the names of tasks."""

    name = "onnx"
    file = "model.onnx"

    def __init__(self, run: Exportable) -> None:
        self._tasks = [o.spec.name for o in run.chosen.scored]
        self._runtime = import_extra("onnxruntime", _EXTRA, "--format onnx")
        for library in ("onnx", "onnxscript"):
            import_extra(library, _EXTRA, "--format onnx")
        names = list(flat(dict.fromkeys(run.specs, torch.empty(0)), masks_of(run)))
        self.outputs = output_names(self._tasks, names)
        with quiet(), torch.no_grad(), naming_fault(run, self.name):
            program = without_search(trace(run))
            self._model: Any = torch.onnx.export(
                program, dynamo=True, verbose=False, input_names=names, output_names=self.outputs
            )
            assert self._model is not None

    def save(self, folder: Path) -> None:
        size = sum(
            value.const_value.nbytes for value in self._model.model.graph.initializers.values()
        )
        with quiet():
            self._model.save(folder / self.file, external_data=size > _LARGEST)

    def predict(self, folder: Path, batches: Sequence[tuple[Tensors, Tensors]]) -> list[Tensors]:
        session = self._runtime.InferenceSession(
            str(folder / self.file), providers=["CPUExecutionProvider"]
        )
        wanted = {entry.name for entry in session.get_inputs()}
        found = []
        for batch in batches:
            feed = {name: x.numpy() for name, x in flat(*batch).items() if name in wanted}
            outputs = map(torch.from_numpy, session.run(self.outputs, feed))
            found.append(dict(zip(self._tasks, outputs, strict=True)))
        return found


def masks_of(run: Exportable) -> Tensors:
    """Return modality -> an empty mask, of those whose presence is an input."""
    return dict.fromkeys(run.masked, torch.empty(0, dtype=torch.bool))


def output_names(tasks: Sequence[str], inputs: Sequence[str]) -> list[str]:
    """Return the names of outputs: of the tasks, but for those that an input has."""
    return [f"{task}_predicted" if task in inputs else task for task in tasks]


FORMATS: dict[str, type[Runnable]] = {each.name: each for each in (TorchExport, Onnx)}
