"""Class subset: some classes of a data set's main task, in a chosen order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from jlrun.data.dataset import Dataset
from jlrun.data.strata import class_column, has_class_column
from jlrun.data.view import View
from jlrun.data.written_names import Name, find_name
from jlrun.errors import UserError, did_you_mean


@dataclass(frozen=True)
class ClassSubset:
    """The classes that are kept.

    Attributes:
        classes: task -> class names that are left.
        keep: old labels of the main task that are kept, ``(K,)``, in their new order; None: all.
        relabel: main task -> new label of each old one, where not all are kept.
    """

    classes: dict[str, tuple[str, ...]]
    keep: Tensor | None = None
    relabel: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def choose(cls, dataset: Dataset, chosen: Sequence[Name] | None, where: str) -> ClassSubset:
        """Return the subset of the classes in ``chosen``, given by names or numbers.

        Raises:
            UserError: at ``where``, for an unknown class, a class named twice, or an empty list.
        """
        classes = dict(dataset.classes)
        if chosen is None:
            return cls(classes)
        task, names = next(iter(classes.items()))
        if not has_class_column(dataset.train, task, classes):
            raise UserError.of(where, f"the main task '{task}' has no classes to choose; use null")
        if not chosen:
            raise UserError.of(where, "no class is left; name at least one, or use null for all")
        keep = [_class_index(name, names, where) for name in chosen]
        for index in keep:
            if keep.count(index) > 1:
                raise UserError.of(where, f"class '{names[index]}' is named twice; name it once")
        new_label = torch.zeros(len(names), dtype=torch.long)
        new_label[keep] = torch.arange(len(keep))
        classes[task] = tuple(names[index] for index in keep)
        return cls(classes, torch.tensor(keep), {task: new_label})

    def view(self, rows: View) -> View:
        """Return the rows whose main task is labelled with a kept class, relabelled."""
        if self.keep is None:
            return rows
        kept = torch.isin(class_column(rows, next(iter(self.classes))), self.keep)
        return rows.take(kept.nonzero().flatten(), self.relabel)


def _class_index(name: Name, names: tuple[str, ...], where: str) -> int:
    """Return the class of that name, or at that index."""
    found = find_name(name, names, where, positions=True)
    if found is not None:
        return found
    hint = did_you_mean(str(name), names)
    raise UserError.of(where, f"there is no class '{name}' among {len(names)}.{hint}")
