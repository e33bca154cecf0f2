"""The data sets of a config: loaded, divided, and made into streams."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from functools import partial
from typing import Any

import torch

from jlrun.config.build import build
from jlrun.config.data_nodes import SEVERAL, SINGLE, SOURCES, reserved_keys, task_labels, used_nodes
from jlrun.config.schema import Settings
from jlrun.config.slots import AUGMENT, DATASET, TASK, VIEWS
from jlrun.data.augmentation.augment import Augment
from jlrun.data.dataset import Dataset
from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.specs import ImageSpec, Spec
from jlrun.data.splits import Splits, Subset, make_splits
from jlrun.data.streams import Stream
from jlrun.data.view import MaskedLabels
from jlrun.data.well_formed import well_formed
from jlrun.engine import Engine
from jlrun.errors import Problem, UserError, did_you_mean
from jlrun.evaluation.retrieval import Retrieval
from jlrun.files.names import name_problems
from jlrun.models.class_vectors import ClassVectors, class_vectors
from jlrun.objective.terms.base import Term
from jlrun.strategies.zero_shot.classes import ClassSplit
from jlrun.strategies.zero_shot.holdout import hold_out
from jlrun.tasks import Binary, Multiclass, Multilabel, Regression, Task, TaskSpec
from jlrun.tasks.loss_options import balanced_weights, given_weights


def dataset_nodes(settings: Settings) -> dict[str, Mapping[str, Any]]:
    """Return stream name -> data set node: its config path, of those that are in use."""
    keys = (*SINGLE, SEVERAL, SOURCES, "tasks", "strategy")
    return used_nodes({key: getattr(settings, key) for key in keys})


def leading(nodes: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the stream whose inputs the model takes as they are: the target's, or the first."""
    return "target" if "target" in nodes else next(iter(nodes))


def choose_modalities(
    settings: Settings, nodes: Mapping[str, Mapping[str, Any]]
) -> tuple[str, ...]:
    """Return the modalities in use: those asked for, or those that all data sets have."""
    shared = [
        modality
        for modality in nodes[leading(nodes)]["modalities"]
        if all(modality in node["modalities"] for node in nodes.values())
    ]
    chosen = shared if settings.modalities is None else list(settings.modalities)
    for modality in chosen:
        if modality not in shared:
            raise UserError.of("modalities", f"no '{modality}'.{did_you_mean(modality, shared)}")
    if not chosen:
        raise UserError.of("modalities", "the data sets have no modality in common")
    return tuple(chosen)


def load_every_split(
    settings: Settings, nodes: Mapping[str, Mapping[str, Any]], known: Mapping[str, Spec]
) -> dict[str, Splits]:
    """Load and split all data sets, the target last.

    What is learned of the inputs of one, as a vocabulary, is taken over by those that come later.

    Args:
        settings: of the run.
        nodes: stream name -> data set node.
        known: modality -> spec that the model begins with.

    Raises:
        UserError: as `load_splits`.
    """
    found = dict[str, Splits]()
    for name in sorted(nodes, key=lambda name: name == "target"):
        found[name] = load_splits(settings, name, nodes[name], known)
        known = {**found[name].modalities, **known}
    return {name: found[name] for name in nodes}


def load_splits(
    settings: Settings, name: str, node: Mapping[str, Any], known: Mapping[str, Spec] | None = None
) -> Splits:
    """Load a data set and split it.

    Args:
        settings: of the run.
        name: of its stream, its config path.
        node: what it is built from.
        known: modality -> spec that it is to take over, where it learns one; None: nothing.

    Raises:
        UserError: if files are missing or wrong, or targets are out of range.
    """
    own = {k: v for k, v in node.items() if k not in reserved_keys()}
    with placed_errors(name):
        found = build(own, DATASET)
    dataset: Dataset = well_formed(found, str(node["_target_"]), name)
    learned_elsewhere = name == "target" and settings.strategy in ("adapt", "generalize")
    if dataset.incomplete is not None and not learned_elsewhere:
        with placed_errors(name):
            raise UserError([dataset.incomplete])
    if known and dataset.adopt is not None:
        dataset = dataset.adopt(known)
    _check_names(name, node, dataset)
    check_targets(name, node, dataset)
    subset = Subset(**{field.name: node[field.name] for field in fields(Subset)})
    splits = make_splits(dataset, subset, settings.seed, where=name)
    if settings.zero_shot is None:
        return splits
    task = _zero_shot_task(settings, node)
    split, _ = unseen_classes(settings, splits.classes[task])
    unmeasured = {
        m: dataset.modalities[m] if isinstance(spec, ImageSpec) else spec
        for m, spec in splits.modalities.items()
    }
    return hold_out(splits, unmeasured, task, split, name)


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
        TaskSpec(label, _task(node, task, splits), splits.classes[task], target=task)
        for task, label in task_labels(name, node).items()
        if chosen is None or label in chosen
    )
    for spec in specs:
        if isinstance(spec.task, Multiclass | Multilabel) and len(spec.classes) < 2:
            found = ", ".join(spec.classes)
            raise UserError.of(
                f"{name}.tasks.{spec.column}",
                f"at least two classes are needed, found: {found or 'none'}",
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


def _task(node: Mapping[str, Any], name: str, splits: Splits) -> Task:
    task: Task = build(node["tasks"][name], TASK)
    if isinstance(task, Multiclass | Binary) and task.options.class_weights is not None:
        return task.in_units(0.0, 1.0, *_class_weights(task.options.class_weights, name, splits))
    return task.in_units(*splits.units[name]) if name in splits.units else task


def _class_weights(
    asked: Mapping[str, float] | str, name: str, splits: Splits
) -> tuple[float, ...]:
    """Return the weight of each class of a task, in their order."""
    classes = splits.classes[name]
    if not isinstance(asked, str):
        return given_weights(asked, classes, f"tasks.{name}.loss.class_weights")
    labels, mask = splits.train.targets[name], splits.train.labelled.get(name)
    return balanced_weights(labels if mask is None else labels[mask], len(classes))


def make_labelled_streams(
    settings: Settings,
    engine: Engine,
    name: str,
    node: Mapping[str, Any],
    splits: Splits,
    specs: Mapping[str, Spec],
    with_views: bool,
) -> LabelledStreams:
    stream = _stream_maker(settings, engine, splits, specs)
    augment: Augment = build(node["augment"], AUGMENT)
    views = build(settings.pretraining.views, VIEWS) if with_views else None
    # The tasks asked for are those of the target; a source without any of them keeps its own.
    chosen = settings.tasks
    if (
        name != "target"
        and "target" in dataset_nodes(settings)
        and not set(chosen or ()) & set(node["tasks"])
    ):
        chosen = None
    return LabelledStreams(
        name=name,
        train=stream(
            name, splits.train, batch_size=settings.batch_size, augment=augment, views=views
        ),
        val=stream(name, splits.val, batch_size=settings.engine.evaluation_batch),
        test=stream(name, splits.test, batch_size=settings.engine.evaluation_batch),
        pool=stream(
            name,
            splits.pool,
            batch_size=settings.batch_size,
            augment=replace(augment, mixup=0.0, cutmix=0.0),
            views=views,
            labelled=False,
        ),
        tasks=task_specs(name, node, splits, chosen),
    )


def _stream_maker(
    settings: Settings, engine: Engine, splits: Splits, specs: Mapping[str, Spec]
) -> Callable[..., Stream]:
    return partial(
        Stream,
        specs={m: splits.modalities[m] for m in specs},
        model_specs=specs,
        seed=settings.seed,
        device=engine.device,
        memory_budget=engine.memory_budget,
        workers=engine.workers,
        channels_last=engine.channels_last,
    )


def pretrained_on(
    settings: Settings, labelled: tuple[LabelledStreams, ...]
) -> tuple[LabelledStreams, ...]:
    """Return the data sets that self-supervised terms learn from."""
    names = [streams.name.rpartition(".")[2] for streams in labelled]
    for name in settings.pretraining.data or ():
        if name not in names:
            hint = did_you_mean(name, names)
            raise UserError.of("pretraining.data", f"the run has no data set '{name}'.{hint}")
    chosen = names if settings.pretraining.data is None else settings.pretraining.data
    return tuple(streams for streams, name in zip(labelled, names, strict=True) if name in chosen)


def pretraining_stream(
    settings: Settings,
    engine: Engine,
    name: str,
    splits: Splits,
    specs: Mapping[str, Spec],
    with_views: bool,
) -> Stream:
    """Return all training rows; those have labels that the run may learn from.

    Without views the rows are augmented as in training, but not mixed.
    """
    adapted = name == "target" and settings.strategy in ("adapt", "generalize")
    augment: Augment = build(dataset_nodes(settings)[name]["augment"], AUGMENT)
    in_use = torch.isin(splits.pool.indices, splits.train.indices)
    return _stream_maker(settings, engine, splits, specs)(
        name,
        splits.pool if bool(in_use.all()) else MaskedLabels(splits.pool, in_use),
        batch_size=settings.batch_size,
        views=build(settings.pretraining.views, VIEWS) if with_views else None,
        augment=None if with_views else replace(augment, mixup=0.0, cutmix=0.0),
        labelled=not adapted,
    )


def also_carried(terms: Iterable[object], splits: Iterable[Splits]) -> dict[str, Spec]:
    """Return the modalities that batches carry for terms, such as those of a teacher.

    Those that a data set lacks are left out: the term reports them itself.
    """
    wanted = {m for t in terms if isinstance(t, Term) for m in t.other_modalities()}
    first, *others = (each.modalities for each in splits)
    return {m: s for m, s in first.items() if m in wanted and all(m in o for o in others)}


def retrieval_options(settings: Settings) -> Retrieval:
    """Return how shared spaces are scored."""
    node = settings.retrieval
    return Retrieval(node.positives or (), node.templates, node.rows)


def _zero_shot_task(settings: Settings, node: Mapping[str, Any]) -> str:
    """Return the task whose classes are seen or unseen: that asked for, or the main one."""
    return next(iter(settings.tasks or node["tasks"]))


def unseen_classes(settings: Settings, classes: Sequence[str]) -> tuple[ClassSplit, ClassVectors]:
    """Return which classes are unseen, and what describes all of them."""
    node = settings.zero_shot
    assert node is not None
    vectors = class_vectors(node.attributes, classes, "zero_shot.attributes")
    seed, where = node.unseen_seed, "zero_shot.unseen"
    return ClassSplit.choose(classes, node.unseen, seed, vectors, where), vectors
