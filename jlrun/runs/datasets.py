"""Data sets of a run: loaded, checked and divided."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

from jlrun.config.build import build, takes
from jlrun.config.nodes import kind_of, reserved_keys, task_labels
from jlrun.config.slots import DATASET, TASK
from jlrun.data.class_matching import Matching
from jlrun.data.dataset import Dataset, DatasetReport, well_formed
from jlrun.data.specs import ImageSpec, Spec
from jlrun.data.splits import Splits, Subset, make_splits
from jlrun.errors import Problem, UserError, did_you_mean
from jlrun.files.names import name_problems
from jlrun.runs.settings import DataSettings
from jlrun.runs.target_tasks import match_target
from jlrun.strategies.zero_shot.classes import unseen_classes
from jlrun.strategies.zero_shot.holdout import hold_out
from jlrun.tasks import Binary, Multiclass, Multilabel, Ordinal, Regression, Task, TaskSpec
from jlrun.tasks.loss_options import balanced_weights, given_weights


@dataclass(frozen=True)
class LoadedData:
    """Data sets of a run, loaded and divided.

    Attributes:
        modalities: those in use.
        splits: stream -> rows of its data set.
        specs: modality -> what the model takes.
        matching: how the target's classes were found among those of its sources.
    """

    modalities: tuple[str, ...]
    splits: Mapping[str, Splits]
    specs: Mapping[str, Spec]
    matching: Matching

    @property
    def reports(self) -> dict[str, DatasetReport]:
        """Stream -> report of its data set, if it has one."""
        return {name: s.report for name, s in self.splits.items() if s.report is not None}

    def normalised_as(self, known: Mapping[str, Spec], stream: str) -> LoadedData:
        """Return the same data; images of a stream are normalised by the moments of known specs."""
        splits = self.splits[stream]
        own = {m: _normalised_as(spec, known.get(m)) for m, spec in splits.modalities.items()}
        changed = {**self.splits, stream: replace(splits, modalities=own)}
        return replace(self, splits=changed, specs={m: own[m] for m in self.specs})


def _normalised_as(spec: Spec, known: Spec | None) -> Spec:
    if not isinstance(spec, ImageSpec) or not isinstance(known, ImageSpec):
        return spec
    same = spec.channels == known.channels
    return replace(spec, mean=known.mean, std=known.std) if same else spec


def load_data(
    settings: DataSettings, known: Mapping[str, Spec], also: Collection[str] = ()
) -> LoadedData:
    """Load and divide all data sets of a run.

    Args:
        settings: of the data.
        known: modality -> spec that the model begins with.
        also: modalities that batches carry, where a data set has them, next to those in use.

    Raises:
        UserError: as `load_splits`, or if the target has no task that a source teaches.
    """
    modalities = choose_modalities(settings)
    splits = load_every_split(settings, known, {*modalities, *also})
    splits, matching = match_target(settings, splits)
    taken = splits[settings.leading].modalities
    return LoadedData(modalities, splits, {m: taken[m] for m in modalities}, matching)


def choose_modalities(settings: DataSettings) -> tuple[str, ...]:
    """Return the modalities in use: those asked for, or those that all data sets have."""
    shared = [
        modality
        for modality in settings.nodes[settings.leading]["modalities"]
        if all(modality in node["modalities"] for node in settings.nodes.values())
    ]
    chosen = shared if settings.modalities is None else list(settings.modalities)
    for modality in chosen:
        if modality not in shared:
            raise UserError.of("modalities", f"no '{modality}'.{did_you_mean(modality, shared)}")
    if not chosen:
        raise UserError.of("modalities", "the data sets have no modality in common")
    return tuple(chosen)


def load_every_split(
    settings: DataSettings, known: Mapping[str, Spec], read: Collection[str]
) -> dict[str, Splits]:
    """Load and split all data sets, the target last.

    What is learned of the inputs of one, as a vocabulary, is taken over by those that come later.

    Args:
        settings: of the data.
        known: modality -> spec that the model begins with.
        read: modalities to read.

    Raises:
        UserError: as `load_splits`.
    """
    found = dict[str, Splits]()
    for name in sorted(settings.nodes, key=lambda name: name == "target"):
        found[name] = load_splits(settings, name, read, known)
        known = {**found[name].modalities, **known}
    return {name: found[name] for name in settings.nodes}


def load_splits(
    settings: DataSettings,
    name: str,
    read: Collection[str],
    known: Mapping[str, Spec] | None = None,
) -> Splits:
    """Load a data set and split it.

    Args:
        settings: of the data.
        name: of the stream, its config path.
        read: modalities to read; others may be left out, if the data set's function can do that.
        known: modality -> spec that it is to take over, where it learns one; None: nothing.

    Raises:
        UserError: if files are missing or wrong, or targets are out of range.
    """
    node = settings.nodes[name]
    own = {k: v for k, v in node.items() if k not in reserved_keys()}
    with placed_errors(name):
        in_use = {"modalities": tuple(sorted(read))} if takes(node, "modalities") else {}
        found = build(own, DATASET, **in_use)
    made = _converted(found, node, name)
    dataset: Dataset = well_formed(made, str(node["_target_"]), name)
    needs_none = settings.inputs_alone or (name == "target" and settings.hides_target_labels)
    if dataset.incomplete is not None and not needs_none:
        with placed_errors(name):
            raise UserError([dataset.incomplete])
    if known and dataset.adopt is not None:
        dataset = dataset.adopt(known)
    _check_names(name, node, dataset)
    check_targets(name, node, dataset)
    subset = Subset(**{field.name: node[field.name] for field in fields(Subset)})
    set_aside = settings.set_aside.get(name, ())
    with placed_errors(name):
        splits = make_splits(dataset, subset, settings.seed, where=name, set_aside=set_aside)
    if settings.zero_shot is None:
        return splits
    task = next(iter(settings.tasks or node["tasks"]))  # that asked for, or the main one
    split, _ = unseen_classes(settings.zero_shot, splits.classes[task])
    unmeasured = {
        m: dataset.modalities[m] if isinstance(spec, ImageSpec) else spec
        for m, spec in splits.modalities.items()
    }
    return hold_out(splits, unmeasured, task, split, name)


def _converted(found: Any, node: Mapping[str, Any], name: str) -> Any:
    """Return the `Dataset` that is made of plain objects which a function returned."""
    if isinstance(found, Dataset):
        return found
    from jlrun.data.plain_data import as_dataset

    kinds = {modality: kind_of(modality) for modality in node["modalities"]}
    tasks: dict[str, Task] = {task: build(own, TASK) for task, own in node["tasks"].items()}
    return as_dataset(found, kinds, tasks, str(node["_target_"]), name)


def _check_names(name: str, node: Mapping[str, Any], dataset: Dataset) -> None:
    """Check that everything that is named after tasks and classes can be written and shown.

    Raises:
        UserError: with each name that can't be.
    """
    problems = name_problems(f"{name}.tasks", "task", node["tasks"], on_disk=True)
    for task in node["tasks"]:
        classes = dataset.classes.get(task, ())
        problems += name_problems(f"{name}.tasks.{task}", "class", classes, on_disk=False)
    if problems:
        raise UserError(problems)


@contextmanager
def placed_errors(name: str) -> Iterator[None]:
    """Replace ``dataset.…`` in errors by the config path of the data set."""
    try:
        yield
    except UserError as error:
        own = re.compile(r"(?<![\w.])dataset(?=\.\w|$)")
        problems = [
            Problem(own.sub(name, p.where), own.sub(name, p.message)) for p in error.problems
        ]
        raise UserError(problems) from error


def check_targets(name: str, node: Mapping[str, Any], dataset: Dataset) -> None:
    """Check that the data set has the config's tasks, with targets in their range.

    Raises:
        UserError: with all that is wrong.
    """
    problems = []
    for task_name, task_node in node["tasks"].items():
        where = f"{name}.tasks.{task_name}"
        if task_name not in dataset.classes:
            hint = did_you_mean(task_name, dataset.classes)
            problems.append(Problem(where, f"the data set has no such target.{hint}"))
            continue
        task: Task = build(task_node, TASK)
        for split in ("train", "val", "test"):
            rows = getattr(dataset, split)
            if rows is None:
                continue
            targets, mask = rows.targets[task_name], rows.labelled.get(task_name)
            labelled = targets if mask is None else targets[mask]
            wrong = task.invalid(labelled, dataset.classes[task_name])
            if wrong:
                problems.append(Problem(where, f"{split} split: {wrong}"))
    if problems:
        raise UserError(problems)


def task_specs(
    name: str, node: Mapping[str, Any], splits: Splits, chosen: Sequence[str] | None
) -> tuple[TaskSpec, ...]:
    """Return the tasks in use of the data set at ``name``, in the order of the config."""
    specs = tuple(
        TaskSpec(label, _task(name, node, task, splits), splits.classes[task], target=task)
        for task, label in task_labels(name, node).items()
        if chosen is None or label in chosen
    )
    for spec in specs:
        if isinstance(spec.task, Multiclass | Multilabel | Ordinal) and len(spec.classes) < 2:
            found = ", ".join(spec.classes)
            raise UserError.of(
                f"{name}.tasks.{spec.column}",
                f"at least two classes are needed, found: {found or 'none'}",
            )
        if isinstance(spec.task, Binary) and len(spec.classes) != 2:
            found = ", ".join(spec.classes[:5]) + (", …" if len(spec.classes) > 5 else "")
            raise UserError.of(
                f"{name}.tasks.{spec.column}",
                f"a binary task has two classes, found {len(spec.classes)}: {found or 'none'}",
            )
        _check_varies(f"{name}.tasks.{spec.column}", spec, splits)
    return specs


def _check_varies(where: str, spec: TaskSpec, splits: Splits) -> None:
    """Check that a regression target is not constant."""
    if not isinstance(spec.task, Regression):
        return
    values, mask = splits.train.targets[spec.column], splits.train.labelled.get(spec.column)
    values = values if mask is None else values[mask]
    if len(values) > 1 and bool((values == values[0]).all()):
        found = f"{float(values[0]):g} in all {len(values):,} training rows that have one"
        raise UserError.of(where, f"the target is {found}: nothing to learn; choose another")


def _task(stream: str, node: Mapping[str, Any], name: str, splits: Splits) -> Task:
    task: Task = build(node["tasks"][name], TASK)
    if isinstance(task, Multiclass | Binary) and task.options.class_weights is not None:
        where = f"{stream}.tasks.{name}.loss.class_weights"
        weights = _class_weights(task.options.class_weights, name, splits, where)
        return task.in_units(0.0, 1.0, *weights)
    return task.in_units(*splits.units[name]) if name in splits.units else task


def _class_weights(
    asked: Mapping[str, float] | str, name: str, splits: Splits, where: str
) -> tuple[float, ...]:
    """Return the weight of each class of a task, in their order.

    Raises:
        UserError: as `given_weights`, or if all classes with training rows have a weight of 0.
    """
    classes = splits.classes[name]
    labels, mask = splits.train.targets[name], splits.train.labelled.get(name)
    labels = labels if mask is None else labels[mask]
    if isinstance(asked, str):
        return balanced_weights(labels, len(classes))
    weights = given_weights(asked, classes, where)
    if len(labels) and not any(weights[i] for i in labels.unique().tolist()):
        raise UserError.of(where, "all classes that training rows have weigh 0; raise one of them")
    return weights
