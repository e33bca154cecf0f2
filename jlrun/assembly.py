"""Build everything a run needs from its checked config: data, model, recipe and plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from jlrun.averaging import NoAverage, WeightAverage
from jlrun.blocks import blocks
from jlrun.class_vectors import ClassVectors, class_vectors
from jlrun.config.build import build, takes_class_names
from jlrun.config.data_nodes import (
    SEVERAL,
    SINGLE,
    SOURCES,
    START,
    learned_start,
    task_labels,
    used_nodes,
)
from jlrun.config.schema import Settings
from jlrun.data.augment import Augment
from jlrun.data.dataset import Dataset
from jlrun.data.specs import Spec
from jlrun.data.splits import Splits, Subset, make_splits
from jlrun.data.streams import Stream
from jlrun.engine import Engine, find_device
from jlrun.errors import Problem, UserError, did_you_mean
from jlrun.fusions import Single
from jlrun.learned_start import LearnedStart
from jlrun.model import JointModel
from jlrun.phase import Fit, Plan, Recipe
from jlrun.ramps import ramp
from jlrun.seeding import seed_everything
from jlrun.sharing import Hard
from jlrun.tasks import Multiclass, Multilabel, TaskSpec
from jlrun.trainers import multimodal, multitask, transfer
from jlrun.trainers.parts import Feed, Parts
from jlrun.trainers.pretraining import with_pretraining
from jlrun.trainers.zero_shot import ZeroShot, plan_zero_shot
from jlrun.trunk import Trunk
from jlrun.validators import SourceAccuracy, Validator
from jlrun.weightings.route import GradientRoute
from jlrun.zero_shot.classes import ClassSplit
from jlrun.zero_shot.taught import refuse_taught
from jlrun.zero_shot.withholding import withhold

RESERVED = {"tasks", "modalities", "augment", *START, *(f.name for f in fields(Subset))}


@dataclass(frozen=True)
class Assembly:
    """What `assemble` builds.

    Attributes:
        settings: the config.
        engine: where and how to compute.
        plan: what to train and score.
        feeds: the data sets in use, for the records.
        specs: modality -> what the model takes.
        start: the weights from elsewhere that the main model begins with; None: there are none.
    """

    settings: Settings
    engine: Engine
    plan: Plan
    feeds: tuple[Feed, ...]
    specs: Mapping[str, Spec]
    start: LearnedStart | None = None

    @property
    def tasks(self) -> tuple[TaskSpec, ...]:
        """The tasks that results are about; in transfer those of the target."""
        return tuple(objective.spec for objective in self.plan.fits[0].scored)

    def new_model(self, fit: Fit) -> JointModel:
        """Return the model of a fit as it is before any training, on the device."""
        seed_everything(self.settings.seed, "model")
        model = make_model(self.settings, self.specs, fit.modalities, fit.heads, fit.shares)
        fit.begin(model)
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
    recipe = make_recipe(settings)
    needs = frozenset(getattr(term, "needs", None) for term in recipe.make_terms().values())
    beside = "views" in needs and settings.pretraining.epochs == 0
    feeds = tuple(
        _feed(settings, engine, name, node, splits[name], specs, beside)
        for name, node in nodes.items()
    )
    parts = Parts(
        recipe=recipe,
        modalities=modalities,
        epochs=settings.epochs,
        baselines=settings.baselines,
        pretrained=any(settings.backbone[m].get("weights") for m in modalities),
        needs=needs,
        blocks=partial(_blocks, settings, specs, modalities),
    )
    start = LearnedStart.of(learned_start({"source": settings.source}))
    plan = _plan(settings, feeds, parts, start)
    if "views" in needs and not beside:
        chosen = _pretrained_on(settings, feeds)
        with_views = {
            f.name: _pretraining_stream(settings, engine, f.name, splits[f.name], specs)
            for f in chosen
        }
        plan = with_pretraining(plan, chosen, with_views, settings.pretraining.epochs, recipe)
    return Assembly(settings, engine, plan, feeds, specs, start)


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
    keys = (*SINGLE, SEVERAL, SOURCES, "tasks", "strategy")
    return used_nodes({key: getattr(settings, key) for key in keys})


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
    splits = make_splits(dataset, subset, settings.seed, where=name)
    if settings.zero_shot is None:
        return splits
    task = _zero_shot_task(settings, node)
    split, _ = _unseen(settings, splits.classes[task])
    return withhold(splits, dataset.modalities, task, split, name)


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

    node = head_node(settings)

    def head(spec: TaskSpec) -> torch.nn.Module:
        names = spec.classes if takes_class_names(node) else ()
        return body.build_head(lambda width: build(node, width, spec.num_outputs, *names))

    return JointModel(body, {name: head(spec) for name, spec in heads.items()})


def head_node(settings: Settings) -> dict[str, Any]:
    """Return what every task's head is built from."""
    return settings.heads if settings.zero_shot is None else settings.zero_shot.head


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
        ramp=ramp(settings.lambda_ramp),
        make_average=NoAverage
        if settings.ema is None
        else lambda decay=settings.ema: WeightAverage(decay),
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
    with_views: bool,
) -> Feed:
    stream = _stream_maker(settings, engine, splits, specs)
    augment: Augment = build(node["augment"])
    views = build(settings.pretraining.views) if with_views else None
    # The tasks asked for are those of the target; a source without any of them keeps its own.
    chosen = settings.tasks
    if (
        name != "target"
        and "target" in dataset_nodes(settings)
        and not set(chosen or ()) & set(node["tasks"])
    ):
        chosen = None
    return Feed(
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


def _pretrained_on(settings: Settings, feeds: tuple[Feed, ...]) -> tuple[Feed, ...]:
    """Return the data sets that self-supervised terms learn from."""
    names = [feed.name.rpartition(".")[2] for feed in feeds]
    for name in settings.pretraining.data or ():
        if name not in names:
            hint = did_you_mean(name, names)
            raise UserError.of("pretraining.data", f"the run has no data set '{name}'.{hint}")
    chosen = names if settings.pretraining.data is None else settings.pretraining.data
    return tuple(feed for feed, name in zip(feeds, names, strict=True) if name in chosen)


def _pretraining_stream(
    settings: Settings, engine: Engine, name: str, splits: Splits, specs: Mapping[str, Spec]
) -> Stream:
    """Return all training rows with views; they have labels only if all of them may be used."""
    adapted = name == "target" and settings.strategy in ("adapt", "generalize")
    return _stream_maker(settings, engine, splits, specs)(
        name,
        splits.pool,
        batch_size=settings.batch_size,
        views=build(settings.pretraining.views),
        labelled=len(splits.pool) == len(splits.train) and not adapted,
    )


def _blocks(
    settings: Settings,
    specs: Mapping[str, Spec],
    modalities: Sequence[str],
    heads: Mapping[str, TaskSpec],
) -> list[list[str]]:
    """Return the blocks of the model's body (`jlrun.blocks`), which may have parts of tasks."""
    untrained = settings.model_copy(update={"backbone": without_weights(settings.backbone)})
    return blocks(make_model(untrained, specs, modalities, heads))


def without_weights(backbone: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return encoder nodes that read no pretrained weights."""
    return {
        modality: {key: None if key == "weights" else value for key, value in node.items()}
        for modality, node in backbone.items()
    }


def _plan(
    settings: Settings, feeds: tuple[Feed, ...], parts: Parts, start: LearnedStart | None
) -> Plan:
    match settings.mode:
        case "multitask":
            node = settings.sampling
            return multitask.plan(feeds, parts, None if node is None else build(node))
        case "multimodal":
            return multimodal.plan(feeds[0], parts)
        case "transfer":
            return _transfer_plan(settings, feeds, parts, start)


def _transfer_plan(
    settings: Settings, feeds: tuple[Feed, ...], parts: Parts, start: LearnedStart | None
) -> Plan:
    sources = tuple(feed for feed in feeds if feed.name != "target")
    (target,) = (feed for feed in feeds if feed.name == "target")
    domains = transfer.Domains(sources, target, settings.source_weights)
    match settings.strategy:
        case "joint":
            return transfer.plan_joint(domains, settings.lambda_, parts, start)
        case "adapt":
            assert settings.validator is not None
            adaptation = _adaptation(settings, build(settings.validator))
            return transfer.plan_adapt(domains, adaptation, parts, start)
        case "generalize":
            adaptation = _adaptation(settings, SourceAccuracy())
            return transfer.plan_generalize(domains, adaptation, parts, start)
        case "zero_shot":
            return plan_zero_shot(*_zero_shot(settings, target, start), parts, start)
        case _:
            assert settings.finetune is not None
            assert settings.pretrain_epochs is not None
            return transfer.plan_finetune(
                domains,
                build(settings.finetune),
                parts,
                pretrain_epochs=settings.pretrain_epochs,
                start=start,
            )


def _adaptation(settings: Settings, validator: Validator) -> transfer.Adaptation:
    assert settings.adapt is not None
    assert settings.pretrain_epochs is not None
    return transfer.Adaptation(
        validator=validator,
        pretrain_epochs=settings.pretrain_epochs,
        joined=settings.adapt.batch_norm == "joint",
        oracle=settings.adapt.oracle,
        leave_one_out=settings.adapt.leave_one_out,
    )


def _zero_shot_task(settings: Settings, node: Mapping[str, Any]) -> str:
    """Return the task whose classes are seen or unseen: that asked for, or the main one."""
    return next(iter(settings.tasks or node["tasks"]))


def _unseen(settings: Settings, classes: Sequence[str]) -> tuple[ClassSplit, ClassVectors]:
    """Return which classes are unseen, and what describes all of them."""
    node = settings.zero_shot
    assert node is not None
    vectors = class_vectors(node.attributes, classes, "zero_shot.attributes")
    seed, where = node.unseen_seed, "zero_shot.unseen"
    return ClassSplit.choose(classes, node.unseen, seed, vectors, where), vectors


def _zero_shot(
    settings: Settings, target: Feed, start: LearnedStart | None
) -> tuple[Feed, ZeroShot]:
    """Return the target with its main task, unless others were asked for, and what is unseen."""
    zero_shot = settings.zero_shot
    assert zero_shot is not None
    if settings.tasks is None:
        target = replace(target, tasks=target.tasks[:1])
    split, vectors = _unseen(settings, target.tasks[0].classes)
    run = learned_start({"source": settings.source}).get("run")
    if run is not None:
        refuse_taught(Path(run).expanduser(), split, "source.run")
    method = build(zero_shot.method)
    return target, ZeroShot(split, method, vectors, zero_shot.calibration)
