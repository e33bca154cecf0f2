"""Splits of a data set into training, validation and test rows: seeded, stratified, disjoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from jlrun.data.dataset import Dataset, DatasetReport
from jlrun.data.file_checks import check_files
from jlrun.data.fold_split import fold_split
from jlrun.data.folds import last_in_time
from jlrun.data.group_share import draw_groups
from jlrun.data.moments import measure_missing_statistics, moments
from jlrun.data.rows import Rows
from jlrun.data.specs import Spec
from jlrun.data.strata import (
    class_column,
    draw_each,
    draw_share,
    has_class_column,
    strata,
)
from jlrun.data.view import View
from jlrun.data.written_names import Name, find_name
from jlrun.errors import UserError, did_you_mean
from jlrun.ranges import NonNegativeInt, PositiveInt
from jlrun.seeding import derive_seed
from jlrun.wording import counted


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


__all__ = ["Splits", "Subset", "View", "make_splits"]

ProperFraction = Annotated[float, Gt(0), Lt(1)]
FractionOrNone = Annotated[float, Ge(0), Lt(1)]
Folds = Annotated[int, Ge(2)]


@dataclass(frozen=True)
class Subset:
    """Choice of a data set's rows for the splits. The main task is a data set's first.

    Attributes:
        shots: training rows per class of the main task; None: all.
        val_shots: the same for validation.
        classes: the main task's classes to keep, by name or index, relabelled in this order; None:
            all. Rows without a label of the main task are left out with the other classes.
        limit: at most this many training rows, each class keeping its share; None: all.
        val_fraction: share of the training rows, where there is no official validation split; 0:
            there are no validation rows, and the last weights are kept.
        test_fraction: share of all rows, where there is no official test split.
        test_seed: seed of that test split, so that it is the same for every run's seed.
        folds: parts of the labelled rows, of which one is the test split, by ``test_seed``; None:
            there are none.
        repeats: divisions into folds.
        fold: which part is the test split, from 0, counted through all repeats; None: the split is
            as without folds.
    """

    shots: PositiveInt | None = None
    val_shots: PositiveInt | None = None
    classes: list[Name] | None = None
    limit: PositiveInt | None = None
    val_fraction: FractionOrNone = 0.2
    test_fraction: ProperFraction = 0.2
    test_seed: int = 0
    folds: Folds | None = None
    repeats: PositiveInt = 1
    fold: NonNegativeInt | None = None


@dataclass(frozen=True)
class Splits:
    """Disjoint rows for training, model selection and test.

    Attributes:
        train, val, test: the rows.
        pool: all training rows, whatever ``shots`` and ``limit``; their labels must not be used.
        modalities: modality -> spec, image statistics included (of the training rows).
        classes: task -> class names, those of the main task in the order of `Subset.classes`.
        units, account: of the data set.
    """

    train: View
    val: View
    test: View
    pool: View
    modalities: Mapping[str, Spec]
    classes: Mapping[str, tuple[str, ...]]
    units: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    report: DatasetReport | None = None


def make_splits(
    dataset: Dataset,
    subset: Subset,
    seed: int,
    where: str = "dataset",
    set_aside: Sequence[str] = (),
) -> Splits:
    """Return the splits of a run.

    Args:
        dataset: the data set with its official splits, which are respected.
        subset: which rows are used.
        seed: of the validation split, the shots and the limit.
        where: config path of the data set, for errors.
        set_aside: of ``val`` and ``test``, those whose rows are left out of the training rows as if
            there were no official ones.

    Raises:
        UserError: for an unknown class, more shots than rows of a class, an empty split, or files
            of these rows that can't be read.
    """
    chosen = ClassSubset.choose(dataset, subset.classes, f"{where}.classes")
    # Divided first, then reduced to the chosen classes: a source and a target that are subsets of
    # one data set have the same division, so that neither trains on the other's test rows.
    train, val, test = (
        _chosen(view, chosen, where, kind)
        for view, kind in zip(
            _division(dataset, subset, seed, where, set_aside),
            ("training", "validation", "test"),
            strict=True,
        )
    )
    classes, pool = chosen.classes, train
    train = _shots(train, subset.shots, classes, seed, f"{where}.shots", "training")
    val = _shots(val, subset.val_shots, classes, seed, f"{where}.val_shots", "validation")
    train = _limit(train, subset.limit, classes, seed)
    if dataset.fit is not None:
        fitted = dataset.fit(train.indices)
        train, pool = train.over(fitted.train), pool.over(fitted.train)
        val = val.over(fitted.train if fitted.val is None else fitted.val)
        test = test.over(fitted.train if fitted.test is None else fitted.test)
        dataset = fitted
    check_files((train, val, test))
    modalities = measure_missing_statistics(dataset.modalities, train)
    units = {**_measured_units(train, classes), **dataset.units}
    return Splits(train, val, test, pool, modalities, classes, units, dataset.report)


def _measured_units(
    train: View, classes: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[float, float]]:
    """Return the mean and standard deviation of targets that are float64 numbers."""
    units = {}
    for task, y in train.targets.items():
        if y.dtype == torch.float64 and y.ndim == 1 and not classes.get(task):
            mask = train.labelled.get(task)
            found = moments([(y if mask is None else y[mask]).numpy()])
            units[task] = (found.mean, found.std)
    return units


def _division(
    dataset: Dataset, subset: Subset, seed: int, where: str, set_aside: Sequence[str]
) -> tuple[View, View, View]:
    """Return all rows for training, validation and test, whatever their classes."""
    train = _all_rows(dataset.train, where, "training")
    val = test = None
    if subset.folds is not None and subset.fold is not None:
        folds, fold = subset.folds, subset.fold
        train, test = fold_split(train, dataset, folds, fold, subset.test_seed, where)
    elif dataset.test is None or "test" in set_aside:
        generator = _generator(subset.test_seed, "test split")
        fraction = subset.test_fraction
        train, test = _divide(train, dataset, fraction, generator, f"{where}.test_fraction")
    if subset.val_fraction == 0 and dataset.val is None:
        val = train.take(torch.zeros(0, dtype=torch.long))
    elif dataset.val is None or "val" in set_aside:
        generator = _generator(seed, "val split")
        fraction = subset.val_fraction
        train, val = _divide(train, dataset, fraction, generator, f"{where}.val_fraction")
    if dataset.test is not None:
        test = _all_rows(dataset.test, where, "test")
    if dataset.val is not None:
        val = _all_rows(dataset.val, where, "validation")
    assert val is not None
    assert test is not None
    return train, val, test


def _generator(*parts: int | str) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(*parts))


def _all_rows(rows: Rows, where: str, kind: str) -> View:
    if len(rows) == 0:
        raise UserError.of(where, f"the data set has no {kind} rows; at least one is needed")
    return View.of_all(rows)


def _chosen(rows: View, chosen: ClassSubset, where: str, kind: str) -> View:
    view = chosen.view(rows)
    if len(view) == 0 < len(rows):
        kept = ", ".join(next(iter(chosen.classes.values())))
        raise UserError.of(
            f"{where}.classes",
            f"none of the {len(rows)} {kind} rows is of {kept}; keep a class that has some",
        )
    return view


def _divide(
    view: View,
    dataset: Dataset,
    fraction: float,
    generator: torch.Generator,
    where: str,
) -> tuple[View, View]:
    """Return the rest and the part that is ``fraction`` of the rows."""
    count = round(fraction * len(view))
    if count == 0:
        found = f"{fraction} of {counted(len(view), 'row')} is 0 rows"
        raise UserError.of(where, f"{found}; use a larger fraction or more rows")
    if count == len(view):
        found = f"{fraction} of {counted(len(view), 'row')} leaves none to train on"
        raise UserError.of(where, f"{found}; use a smaller fraction")
    if dataset.times is not None:
        part = last_in_time(dataset.times[view.indices], count)
        if len(part) == len(view):
            raise UserError.of(where, f"all {len(view)} rows have one time: none is before others")
    elif dataset.groups is None:
        part = draw_share(strata(view, dataset.classes), count, generator)
    else:
        part = draw_groups(
            dataset.groups[view.indices], strata(view, dataset.classes), count, generator
        )
        if len(part) in (0, len(view)):
            raise UserError.of(where, f"{fraction} of the groups is none or all: too few groups")
    return view.take(_others(part, len(view))), view.take(part)


def _others(positions: Tensor, count: int) -> Tensor:
    mask = torch.ones(count, dtype=torch.bool)
    mask[positions] = False
    return mask.nonzero().flatten()


def _shots(
    view: View,
    shots: int | None,
    classes: Mapping[str, tuple[str, ...]],
    seed: int,
    where: str,
    kind: str,
) -> View:
    if shots is None or not len(view):
        return view
    task, names = next(iter(classes.items()))
    if not has_class_column(view, task, classes):
        raise UserError.of(where, f"the main task '{task}' has no classes; use limit instead")
    column = class_column(view, task)
    counts = column[column >= 0].bincount(minlength=len(names))
    fewest = int(counts.min())
    if fewest < shots:
        raise UserError.of(
            where,
            f"{shots} rows per class are set, but class '{names[int(counts.argmin())]}' has "
            f"{fewest} {kind} rows. Use at most {fewest}, or leave the class out with classes=[…]",
        )
    generator = _generator(seed, f"{kind} shots")
    return view.take(draw_each(column, shots, len(names), generator))


def _limit(
    view: View,
    limit: int | None,
    classes: Mapping[str, tuple[str, ...]],
    seed: int,
) -> View:
    if limit is None or limit >= len(view):
        return view
    generator = _generator(seed, "limit")
    return view.take(draw_share(strata(view, classes), limit, generator))
