"""Build everything a run needs from its checked config: data, model, recipe and plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import torch

from jlrun.config.build import build
from jlrun.config.data_nodes import SEVERAL, SINGLE, task_labels, used_nodes
from jlrun.config.schema import Settings
from jlrun.data.augment import Augment
from jlrun.data.dataset import Dataset
from jlrun.data.specs import Spec
from jlrun.data.splits import Splits, Subset, make_splits
from jlrun.data.streams import Stream
from jlrun.engine import Engine, find_device
from jlrun.errors import Problem, UserError, did_you_mean
from jlrun.fusions import Single
from jlrun.model import JointModel
from jlrun.phase import Fit, Plan, Recipe
from jlrun.seeding import seed_everything
from jlrun.sharing import Hard
from jlrun.tasks import Multiclass, Multilabel, TaskSpec
from jlrun.trainers import multimodal, multitask, transfer
from jlrun.trainers.parts import Feed, Parts
from jlrun.trunk import Trunk
from jlrun.weightings.route import GradientRoute

RESERVED = {"tasks", "modalities", "augment", *(field.name for field in fields(Subset))}


@dataclass(frozen=True)
class Assembly:
    """What `assemble` builds.

    Attributes:
        settings: the config.
        engine: where and how to compute.
        plan: what to train and score.
        feeds: the data sets in use, for the records.
        specs: modality -> what the model takes.
    """

    settings: Settings
    engine: Engine
    plan: Plan
    feeds: tuple[Feed, ...]
    specs: Mapping[str, Spec]

    @property
    def tasks(self) -> tuple[TaskSpec, ...]:
        """The tasks that results are about; in transfer those of the target."""
        return tuple(objective.spec for objective in self.plan.fits[0].scored)

    def new_model(self, fit: Fit) -> JointModel:
        """Return the model of a fit as it is before any training, on the device."""
        seed_everything(self.settings.seed, "model")
        model = make_model(self.settings, self.specs, fit.modalities, fit.heads, fit.shares)
        return self.engine.prepare(model)


def assemble(settings: Settings) -> Assembly:
    """Load the data and build the plan; nothing is written.

    Raises:
        UserError: for whatever is wrong with the data, or with values that only data can show.
    """
    engine = make_engine(settings)
    nodes = dataset_nodes(settings)
    modalities = choose_modalities(settings, nodes)
    splits = {name: load_splits(settings, name, node) for name, node in nodes.items()}
    leading = _leading(nodes)
    specs = {m: splits[leading].modalities[m] for m in modalities}
    feeds = tuple(
        _feed(settings, engine, name, node, splits[name], specs) for name, node in nodes.items()
    )
    parts = Parts(
        recipe=make_recipe(settings),
        modalities=modalities,
        epochs=settings.epochs,
        baselines=settings.baselines,
    )
    return Assembly(settings, engine, _plan(settings, feeds, parts), feeds, specs)


def make_engine(settings: Settings) -> Engine:
    """Return the engine that the config describes.

    Raises:
        UserError: if this machine lacks the device, or the device the precision.
    """
    node = settings.engine
    device = find_device(node.device)
    if node.precision == "fp16" and device.type == "cpu":
        raise UserError.of(
            "engine.precision", "fp16 needs a GPU; on a CPU use engine.precision=bf16 or fp32"
        )
    return Engine(
        device=device,
        precision=node.precision,
        channels_last=node.channels_last,
        compile=node.compile,
        accumulate=node.accumulate,
        clip_norm=node.clip_norm,
        memory_budget=node.memory_budget,
        workers=node.workers,
    )


def dataset_nodes(settings: Settings) -> dict[str, Mapping[str, Any]]:
    """Return stream name -> data set node: its config path, of those that are in use."""
    return used_nodes({key: getattr(settings, key) for key in (*SINGLE, SEVERAL, "tasks")})


def _leading(nodes: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the stream whose inputs the model takes as they are: the target's, or the first."""
    return "target" if "target" in nodes else next(iter(nodes))


def choose_modalities(
    settings: Settings, nodes: Mapping[str, Mapping[str, Any]]
) -> tuple[str, ...]:
    """Return the modalities in use: those asked for, or those that all data sets have."""
    shared = [
        modality
        for modality in nodes[_leading(nodes)]["modalities"]
        if all(modality in node["modalities"] for node in nodes.values())
    ]
    chosen = shared if settings.modalities is None else list(settings.modalities)
    for modality in chosen:
        if modality not in shared:
            raise UserError.of("modalities", f"no '{modality}'.{did_you_mean(modality, shared)}")
    if not chosen:
        raise UserError.of("modalities", "the data sets have no modality in common")
    return tuple(chosen)


def load_splits(settings: Settings, name: str, node: Mapping[str, Any]) -> Splits:
    """Load a data set and split it.

    Raises:
        UserError: if files are missing or wrong, or targets are out of range.
    """
    dataset: Dataset = build({k: v for k, v in node.items() if k not in RESERVED})
    check_targets(name, node, dataset)
    subset = Subset(**{field.name: node[field.name] for field in fields(Subset)})
    return make_splits(dataset, subset, settings.seed, where=name)


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
        task = build(task_node)
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
        TaskSpec(label, build(node["tasks"][task]), splits.classes[task], target=task)
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
    return specs


def make_model(
    settings: Settings,
    specs: Mapping[str, Spec],
    modalities: Sequence[str],
    heads: Mapping[str, TaskSpec],
    shares: bool = True,
) -> JointModel:
    """Build a model over ``modalities`` with a head for each entry of ``heads``.

    Tasks share it as the config says, or, without ``shares``, all of it but the heads.
    """

    def make_trunk() -> Trunk:
        encoders = {m: build(settings.backbone[m], specs[m]) for m in modalities}
        widths = {m: encoder.out_features for m, encoder in encoders.items()}
        fusion = Single(widths) if len(modalities) == 1 else build(settings.fusion, widths)
        return Trunk(encoders, fusion)

    names = tuple(heads)
    body = build(settings.sharing, make_trunk, names) if shares else Hard(make_trunk, names)

    def head(spec: TaskSpec) -> torch.nn.Module:
        return body.build_head(lambda width: build(settings.heads, width, spec.num_outputs))

    return JointModel(body, {name: head(spec) for name, spec in heads.items()})


def make_recipe(settings: Settings) -> Recipe:
    """Return how phases optimise."""
    # In joint transfer λ is the weight of the target instead.
    term_scale = 1.0 if settings.strategy == "joint" else settings.lambda_
    weighting, route = _divided(settings.weighting)
    return Recipe(
        make_optimizer=lambda groups: build(settings.optimizer, groups),
        make_weighting=lambda tasks: build(weighting, tasks),
        make_terms=lambda: {name: build(node) for name, node in settings.terms.items()},
        schedule=build(settings.scheduler),
        term_scale=term_scale,
        patience=settings.patience,
        route=route,
    )


def _divided(node: Mapping[str, Any]) -> tuple[dict[str, Any], GradientRoute]:
    """Return the node of a weighting without the keys that say where its gradients come from."""
    keys = {field.name for field in fields(GradientRoute)}
    route = GradientRoute(**{key: value for key, value in node.items() if key in keys})
    return {key: value for key, value in node.items() if key not in keys}, route


def _feed(
    settings: Settings,
    engine: Engine,
    name: str,
    node: Mapping[str, Any],
    splits: Splits,
    specs: Mapping[str, Spec],
) -> Feed:
    stream: Callable[..., Stream] = partial(
        Stream,
        specs={m: splits.modalities[m] for m in specs},
        model_specs=specs,
        seed=settings.seed,
        device=engine.device,
        memory_budget=engine.memory_budget,
        workers=engine.workers,
        channels_last=engine.channels_last,
    )
    augment: Augment = build(node["augment"])
    # The tasks asked for are those of the target; a source without any of them keeps its own.
    chosen = settings.tasks
    if name == "source" and not set(chosen or ()) & set(node["tasks"]):
        chosen = None
    return Feed(
        name=name,
        train=stream(name, splits.train, batch_size=settings.batch_size, augment=augment),
        val=stream(name, splits.val, batch_size=settings.engine.evaluation_batch),
        test=stream(name, splits.test, batch_size=settings.engine.evaluation_batch),
        tasks=task_specs(name, node, splits, chosen),
    )


def _plan(settings: Settings, feeds: tuple[Feed, ...], parts: Parts) -> Plan:
    match settings.mode, settings.strategy:
        case "multitask", _:
            node = settings.sampling
            return multitask.plan(feeds, parts, None if node is None else build(node))
        case "multimodal", _:
            return multimodal.plan(feeds[0], parts)
        case "transfer", "joint":
            source, target = feeds
            return transfer.plan_joint(source, target, settings.lambda_, parts)
        case _:
            source, target = feeds
            assert settings.finetune is not None
            assert settings.pretrain_epochs is not None
            finetune = transfer.Finetune(
                pretrain_epochs=settings.pretrain_epochs,
                body_lr=settings.finetune.body_lr,
                head_lr=settings.finetune.head_lr,
            )
            return transfer.plan_finetune(source, target, finetune, parts)
