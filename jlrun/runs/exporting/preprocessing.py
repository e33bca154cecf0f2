"""Content of ``preprocessing.json``: what a program takes and yields, for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jlrun.data.specs import AudioSpec, ImageSpec, SeriesSpec, Spec, TabularSpec, TextSpec
from jlrun.data.specs import spec_to_json as described
from jlrun.runs.exporting.program import Exportable
from jlrun.runs.exporting.runnable import output_names
from jlrun.tasks import Binary, Multilabel, Ordinal, Regression, Task
from jlrun.tasks.objective import Objective

SCHEMA = 1
_BATCH = "batch"
_COLOURS = {1: "gray", 3: "RGB"}


def preprocessing(run: Exportable, exported: str) -> dict[str, Any]:
    """Return the description of a program.

    ``inputs`` has of each modality the tensor (name, type, shape, in which ``batch`` is any number
    of rows), what must be done to raw data (``before``), and what the program does itself
    (``inside``); ``masks`` the inputs that say which rows have a modality; ``outputs`` of each task
    its tensor, classes, and how a decision follows.

    Args:
        run: that is exported.
        exported: name of the format.
    """
    masks = [f"{name}_present" for name in run.masked]
    names = output_names([o.spec.name for o in run.chosen.scored], [*run.specs, *masks])
    return {
        "schema": SCHEMA,
        "format": exported,
        "inputs": {name: _input(spec) for name, spec in run.specs.items()},
        "masks": {
            name: {
                "tensor": {"name": f"{name}_present", "type": "bool", "shape": [_BATCH]},
                "meaning": f"true in rows that have {name}; the others hold any values of its type",
            }
            for name in run.masked
        },
        "outputs": {
            o.spec.name: _output(o, name, run.chosen.temperatures.get(o.label))
            for o, name in zip(run.chosen.scored, names, strict=True)
        },
    }


def inputs_of_weights(specs: Mapping[str, Spec]) -> dict[str, Any]:
    """Return the description of the inputs of a model whose weights alone are exported.

    All steps are ``before``: what encoders read is what these yield.
    """
    found = {}
    for name, spec in specs.items():
        entry = _input(spec)
        floats = "int64" if isinstance(spec, TextSpec) else "float32"
        found[name] = {
            "tensor": {**entry["tensor"], "type": floats},
            "before": [*entry["before"], *entry["inside"]],
            "inside": [],
            "spec": entry["spec"],
        }
    return {"schema": SCHEMA, "format": "safetensors", "inputs": found}


def _input(spec: Spec) -> dict[str, Any]:
    kind, shape, before, inside = _parts(spec)
    return {
        "tensor": {"type": kind, "shape": [_BATCH, *shape]},
        "before": before,
        "inside": inside,
        "spec": described(spec),
    }


def _parts(spec: Spec) -> tuple[str, tuple[int, ...], list[str], list[str]]:
    """Return type, shape of a row, what is done before, and inside."""
    match spec:
        case ImageSpec(channels=c, height=h, width=w):
            colours = _COLOURS.get(c, f"{c} channels")
            size = f"{h} × {w} pixels (height, width)"
            fit = {"crop": "scaled and cropped", "pad": "scaled and padded"}.get(spec.resize)
            how = fit or "scaled without keeping its proportions"
            before = [
                f"{colours}, transparent pixels on {spec.background}",
                f"{how} to {size}",
                "whole numbers from 0 to 255, channels first",
            ]
            return "uint8", (c, h, w), before, ["divided by 255", *_standardised(spec.mean)]
        case AudioSpec(num_samples=length, sample_rate=rate):
            before = [
                f"mono, {rate} Hz, in [-1, 1]",
                f"cut at the end, or padded with silence there, to {length} samples",
            ]
            return "float32", (length,), before, []
        case TextSpec(length=length, unit=unit):
            before = [
                f"split into units of the kind '{unit}' (docs/export.md)",
                "each as its place in spec.vocabulary, from 2; 1: not there; 0: padding",
                f"cut, or padded at the end, to {length} ids",
            ]
            return "int64", (length,), before, []
        case TabularSpec(numbers=numbers, categories=categories):
            before = [
                f"cells in this order: {', '.join([*numbers, *categories])}",
                "numbers in the units of the table, NaN where one is missing",
                "categories as the place of their level in spec.levels, from 1; 0: missing or not "
                "there",
            ]
            before += [
                f"of the date {date.column}: {', '.join(date.parts)}; days are counted from "
                f"{date.origin:.0f} seconds after 1970"
                for date in spec.dates
            ]
            return "float64", (spec.width,), before, _standardised(spec.mean)
        case SeriesSpec(length=length, channels=channels):
            before = [
                "NaN where a value is missing",
                f"cut, or padded at the end with NaN, to {length} steps",
            ]
            return "float64", (length, channels), before, _standardised(spec.mean)


def _standardised(mean: tuple[float, ...]) -> list[str]:
    return ["minus spec.mean, divided by spec.std"] if mean else []


def _output(objective: Objective, name: str, temperature: float | None) -> dict[str, Any]:
    spec = objective.spec
    meaning, decision = _meaning(spec.task)
    width: list[Any] = ["height", "width"] if spec.task.dense else []
    channels = 2 if isinstance(spec.task, Binary) else len(spec.classes) or 1
    thresholds = list(getattr(spec.task, "thresholds", ()))
    return {
        "tensor": {
            "name": name,
            "type": "float32" if spec.task.dense else "float64",
            "shape": [_BATCH, channels, *width],
        },
        "kind": type(spec.task).__name__.lower(),
        "meaning": meaning,
        "decision": decision,
        "classes": list(spec.classes),
        "temperature": temperature,
        "thresholds": thresholds,
        **_number(spec.task),
    }


def _meaning(task: Task) -> tuple[str, str]:
    if task.dense:
        return "maps, of any size that the model yields", "resized bilinearly to the image"
    match task:
        case Regression():
            return "number in the unit of the target column", "the number"
        case Multilabel():
            return "probability of each label", "labels above their threshold, or above 0.5"
        case Binary():
            return "probabilities of both classes", "the second above its threshold, or above 0.5"
        case Ordinal():
            return "probability of each class, in order", "the median class"
        case _:
            return "probability of each class", "the most probable class"


def _number(task: Task) -> Mapping[str, Any]:
    if not isinstance(task, Regression):
        return {}
    mean, std = task.units
    scale = {0: "none", 1: "log"}.get(len(task.scale), "quantile")
    return {"learned_as": {"scale": scale, "mean": mean, "std": std, "inverted": "inside"}}
