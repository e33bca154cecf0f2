"""Inputs as people read them."""

from __future__ import annotations

from math import isnan

import torch
from torch import Tensor

from jlrun.data.reading.texts import text_of
from jlrun.data.specs import ImageSpec, SeriesSpec, Spec, TabularSpec, TextSpec


def content_of(x: Tensor, spec: Spec) -> Tensor | str:
    """Return one input of a model: an image in [0, 1], a text, the cells of a row, or what it is.

    Series are in the units of their data.
    """
    match spec:
        case ImageSpec(mean=mean, std=std):
            shape = (-1, 1, 1)
            return (x * torch.tensor(std).view(shape) + torch.tensor(mean).view(shape)).clamp(0, 1)
        case TextSpec():
            return text_of(x, spec)
        case TabularSpec():
            return _cells(x, spec)
        case SeriesSpec(mean=mean, std=std):
            return x * torch.tensor(std) + torch.tensor(mean)
    return x


def _cells(x: Tensor, spec: TabularSpec) -> str:
    """Return the cells of a row that are not missing, as ``name: value; …``."""
    columns = zip(spec.numbers, x.tolist(), spec.mean, spec.std, strict=False)
    known = [f"{name}: {v * std + mean:.4g}" for name, v, mean, std in columns if not isnan(v)]
    levels = x[len(spec.numbers) :].long().tolist()
    for name, names, level in zip(spec.categories, spec.levels, levels, strict=True):
        known += [f"{name}: {names[level - 1]}"] if level else []
    return "; ".join(known) or "nothing"
