"""What every data set returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from jlrun.data.rows import Rows
from jlrun.data.specs import Spec


@dataclass(frozen=True)
class Dataset:
    """A data set as it lies on disk (or in a library), before subsets and splits.

    Attributes:
        train: rows for training, and for validation where ``val`` is None.
        modalities: modality -> spec of its inputs.
        classes: task -> class names; an empty tuple for regression, depth and normals, one name
            per label for multilabel. The first task is the main one: it stratifies splits and
            shots.
        val: rows of an official validation split, if there is one.
        test: rows of an official test split; None: one is split off ``train``.
        groups: int64, the group of each row of ``train``; rows of a group stay in one split. None:
            rows are independent.
        fit: indices of the rows of ``train`` that are trained on -> the same rows in the same
            order, with all that must be learned from those alone: vocabularies, levels, means.
            None: there is no such thing, or it has been done.
    """

    train: Rows
    modalities: Mapping[str, Spec]
    classes: Mapping[str, tuple[str, ...]]
    val: Rows | None = None
    test: Rows | None = None
    groups: Tensor | None = None
    fit: Callable[[Tensor], Dataset] | None = None
