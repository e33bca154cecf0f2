"""Programs as graphs: what `torch.export` makes of a run, and what the graphs of ONNX lack."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor

from jlrun.errors import UserError
from jlrun.runs.exporting.program import Exportable, Tensors
from jlrun.runs.exporting.sample_rows import sample_masks, sample_rows

TRACED_ROWS = 7


def trace(run: Exportable) -> torch.export.ExportedProgram:
    """Return the graph of a run's program, for any number of rows.

    What Python does with a number of rows, as in ``len(x)`` of a class of the user's, is followed
    where the plain way takes it for a constant.

    Raises:
        UserError: if what the model computes can't be written as a graph.
    """
    inputs = sample_rows(run.specs, TRACED_ROWS)
    present = sample_masks(run.masked, TRACED_ROWS)
    batch = torch.export.Dim("batch", min=1)
    shapes = tuple({name: {0: batch} for name in each} for each in (inputs, present))
    with quiet(), torch.no_grad(), naming_fault(run, "torch_export"):
        arguments: Any = {"args": (inputs, present), "dynamic_shapes": shapes}
        try:
            return torch.export.export(run.program, **arguments)
        except Exception:  # their errors have no class in common
            with suppress(Exception):
                return torch.export.export(run.program, **arguments, strict=True)
            raise


@contextmanager
def naming_fault(run: Exportable, what: str) -> Iterator[None]:
    """Turn an error of PyTorch's exporters into one line that names the model's parts.

    Raises:
        UserError: instead of any error but one.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # their errors have no class in common
        own = (m for m in run.program.model.modules() if type(m).__module__[:5] != "torch")
        parts = ", ".join(dict.fromkeys(type(m).__name__ for m in own))
        message = f"{what} can't hold this model ({parts}): {_reason(error)}"
        raise UserError.of("--format", f"{message}; --format safetensors can") from error


def _reason(error: BaseException) -> str:
    """Return the first line of the error that others were raised for."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out warnings and log lines that are about the exporters themselves."""
    names = ("torch.onnx", "onnxscript", "onnx_ir", "torch.export", "torch.fx")
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def without_search(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Return a graph that searches sorted tensors by comparisons: ONNX has no operator for it."""
    searches: dict[Any, Any] = {torch.ops.aten.searchsorted.Tensor: searched}
    return program.run_decompositions(searches)


def searched(
    sorted_sequence: Tensor,
    values: Tensor,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Return what `torch.searchsorted` does, of ``values``, by the steps of a binary search.

    Of rows that are each sorted, ``(..., K)``, by counting smaller ones: K comparisons of a value.
    ``out_int32`` and ``sorter`` are not taken.
    """
    assert not out_int32
    assert sorter is None
    compare = torch.le if right or side == "right" else torch.lt
    if sorted_sequence.ndim > 1:
        smaller = compare(sorted_sequence.unsqueeze(-2), values.unsqueeze(-1))
        return smaller.sum(dim=-1)
    count = sorted_sequence.shape[0]
    place, step = torch.zeros_like(values, dtype=torch.long), 1 << (count.bit_length() - 1)
    while step:
        further = place + step
        last = sorted_sequence[(further - 1).clamp(max=count - 1)]
        place = torch.where((further <= count) & compare(last, values), further, place)
        step //= 2
    return place


def flat(inputs: Tensors, present: Tensors) -> dict[str, Tensor]:
    """Return name of an input -> tensor, masks of modalities after these as ``NAME_present``."""
    return {**inputs, **{f"{name}_present": mask for name, mask in present.items()}}
