"""Build everything a run needs from its checked config: data, model, recipe and plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

from jlrun.config.backbones import backbone_of
from jlrun.config.build import build
from jlrun.config.data_nodes import learned_start
from jlrun.config.schema import Settings
from jlrun.config.slots import FINETUNING, SAMPLING, VALIDATOR, ZERO_SHOT_METHOD
from jlrun.data.dataset import DatasetReport
from jlrun.data.file_checks import check_files
from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.specs import Spec
from jlrun.data.splits import Splits
from jlrun.engine import Engine
from jlrun.errors import UserError
from jlrun.evaluation.validators import SourceAccuracy, Validator
from jlrun.models.joint_model import JointModel
from jlrun.models.warm_start import PretrainedInit
from jlrun.objective.terms.self_supervised.rows import sample_row
from jlrun.runs.building import body_blocks, make_engine, make_model
from jlrun.runs.datasets import (
    also_carried,
    choose_modalities,
    dataset_nodes,
    leading,
    load_every_split,
    make_labelled_streams,
    pretrained_on,
    pretraining_stream,
    retrieval_options,
    unseen_classes,
)
from jlrun.runs.fingerprints import Fingerprint, fingerprint_of
from jlrun.runs.recipe import make_recipe
from jlrun.runs.target_tasks import (
    check_labels,
    match_target,
    named_as_target,
    notes_on_target,
)
from jlrun.seeding import seed_everything
from jlrun.strategies import multimodal, multitask, transfer
from jlrun.strategies.balance_holdout import with_held_out
from jlrun.strategies.plan_context import PlanContext
from jlrun.strategies.pretraining import (
    between_modalities,
    only_pretraining,
    with_pretraining,
)
from jlrun.strategies.zero_shot.leakage import check_leakage
from jlrun.strategies.zero_shot.plan import ZeroShot, plan_zero_shot
from jlrun.tasks import TaskSpec
from jlrun.training.plan import Fit, Plan, Recipe

# Needs of terms that learn from inputs alone, in a separate phase.
PRETRAINING = frozenset({"views", "several modalities"})


@dataclass(frozen=True)
class Assembly:
    """Everything that `assemble` builds.

    Attributes:
        settings: the config.
        engine: where and how to compute.
        plan: what to train and score.
        labelled: the data sets in use, for the records.
        specs: modality -> what the model takes.
        start: the weights from elsewhere that the main model begins with; None: there are none.
        reports: stream name -> report of its data set, if it has one.
        splits: stream name -> the rows of its data set.
        uses_pool: whether rows are learned from without their labels.
        notes: lines on how data sets were brought together.
    """

    settings: Settings
    engine: Engine
    plan: Plan
    labelled: tuple[LabelledStreams, ...]
    specs: Mapping[str, Spec]
    start: PretrainedInit | None = None
    reports: Mapping[str, DatasetReport] = field(default_factory=dict)
    splits: Mapping[str, Splits] = field(default_factory=dict)
    uses_pool: bool = False

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """Fingerprint of the rows of each split."""
        return fingerprint_of(dataset_nodes(self.settings), self.splits, self.uses_pool)

    notes: tuple[str, ...] = ()

    @property
    def tasks(self) -> tuple[TaskSpec, ...]:
        """The tasks that results are about; in transfer those of the target."""
        return tuple(objective.spec for objective in self.plan.fits[0].scored)

    @property
    def leading(self) -> LabelledStreams:
        """The data set that results are about: the target, or the first."""
        return next(
            (streams for streams in self.labelled if streams.name == "target"), self.labelled[0]
        )

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
    start = PretrainedInit.of(learned_start({"source": settings.source}))
    splits = load_every_split(settings, nodes, {} if start is None else start.specs())
    splits, matching = match_target(settings, nodes, splits)
    taken = splits[leading(nodes)].modalities
    specs = {m: taken[m] for m in modalities}
    recipe = make_recipe(settings, modalities)
    terms = recipe.make_terms().values()
    needs = frozenset(getattr(term, "needs", None) for term in terms)
    uses_pool = settings.strategy in ("adapt", "generalize") or bool(needs & PRETRAINING)
    if uses_pool:
        check_files(each.pool for each in splits.values())
    with_views = "views" in needs and settings.pretraining.epochs == 0
    carried = specs | also_carried(terms, splits.values())
    labelled = tuple(
        make_labelled_streams(settings, engine, name, node, splits[name], carried, with_views)
        for name, node in nodes.items()
    )
    labelled = named_as_target(labelled, matching)
    check_labels(settings, labelled)
    context = PlanContext(
        recipe=recipe,
        modalities=modalities,
        epochs=settings.epochs,
        baselines=settings.baselines,
        pretrained=any(backbone_of(settings.backbone, m).get("weights") for m in modalities),
        needs=needs,
        blocks=partial(body_blocks, settings, specs, modalities),
    )
    plan = with_held_out(_plan(settings, labelled, context, start), recipe.make_balance().held_out)
    if settings.pretraining.only and not needs & PRETRAINING:
        message = "there is no pretraining: name what learns from inputs, such as terms=[clip]"
        raise UserError.of("pretraining.only", message)
    if needs & PRETRAINING:
        plan = _with_terms_of_inputs(settings, engine, plan, labelled, splits, carried, recipe)
    reports = {name: s.report for name, s in splits.items() if s.report is not None}
    return Assembly(
        settings,
        engine,
        plan,
        labelled,
        specs,
        start,
        reports,
        splits,
        uses_pool=uses_pool,
        notes=notes_on_target(settings, plan, labelled, matching),
    )


def _with_terms_of_inputs(
    settings: Settings,
    engine: Engine,
    plan: Plan,
    labelled: tuple[LabelledStreams, ...],
    splits: Mapping[str, Splits],
    carried: Mapping[str, Spec],
    recipe: Recipe,
) -> Plan:
    """Return the plan with terms that learn from inputs in a phase before it, or in all of it."""
    needs = {getattr(term, "needs", None) for term in recipe.make_terms().values()}
    if settings.pretraining.epochs == 0:
        return between_modalities(plan) if "several modalities" in needs else plan
    chosen = pretrained_on(settings, labelled)
    unlabelled = {
        f.name: pretraining_stream(
            settings, engine, f.name, splits[f.name], carried, "views" in needs
        )
        for f in chosen
    }
    epochs, options = settings.pretraining.epochs, retrieval_options(settings)
    for streams in chosen:
        options.check(sample_row(streams.train))
    longer = with_pretraining(plan, chosen, unlabelled, epochs, recipe, retrieval=options)
    return only_pretraining(longer) if settings.pretraining.only else longer


def _plan(
    settings: Settings,
    labelled: tuple[LabelledStreams, ...],
    context: PlanContext,
    start: PretrainedInit | None,
) -> Plan:
    match settings.mode:
        case "multitask":
            node = settings.sampling
            return multitask.plan(
                labelled, context, None if node is None else build(node, SAMPLING)
            )
        case "multimodal":
            return multimodal.plan(labelled[0], context)
        case "transfer":
            return _transfer_plan(settings, labelled, context, start)


def _transfer_plan(
    settings: Settings,
    labelled: tuple[LabelledStreams, ...],
    context: PlanContext,
    start: PretrainedInit | None,
) -> Plan:
    sources = tuple(streams for streams in labelled if streams.name != "target")
    (target,) = (streams for streams in labelled if streams.name == "target")
    domains = transfer.Domains(sources, target, settings.source_weights)
    match settings.strategy:
        case "joint":
            return transfer.plan_joint(domains, settings.lambda_, context, start)
        case "adapt":
            assert settings.validator is not None
            adaptation = _adaptation(settings, build(settings.validator, VALIDATOR))
            return transfer.plan_adapt(domains, adaptation, context, start)
        case "generalize":
            adaptation = _adaptation(settings, SourceAccuracy())
            return transfer.plan_generalize(domains, adaptation, context, start)
        case "zero_shot":
            return plan_zero_shot(*_zero_shot(settings, target, start), context, start)
        case _:
            assert settings.finetune is not None
            assert settings.pretrain_epochs is not None
            return transfer.plan_finetune(
                domains,
                build(settings.finetune, FINETUNING),
                context,
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


def _zero_shot(
    settings: Settings, target: LabelledStreams, start: PretrainedInit | None
) -> tuple[LabelledStreams, ZeroShot]:
    """Return the target with its main task, unless others were asked for, and what is unseen."""
    zero_shot = settings.zero_shot
    assert zero_shot is not None
    if settings.tasks is None:
        target = replace(target, tasks=target.tasks[:1])
    split, vectors = unseen_classes(settings, target.tasks[0].classes)
    for where, path in _learned_elsewhere(settings):
        check_leakage(Path(path), split, where)
    method = build(zero_shot.method, ZERO_SHOT_METHOD)
    return target, ZeroShot(split, method, vectors, zero_shot.calibration)


def _learned_elsewhere(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield config path and value of all that may bring in what others have learned."""
    for key, path in learned_start({"source": settings.source}).items():
        yield f"source.{key}", path
    for group, key in (("backbone", "weights"), ("terms", "run")):
        for name, node in getattr(settings, group).items():
            if isinstance(node.get(key), str):
                yield f"{group}.{name}.{key}", node[key]
