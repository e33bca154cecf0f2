"""Build what needs no data of a run: engine, model, and the recipe of its optimisation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

import torch

from jlrun.config.build import arguments_with_defaults, build, builds, class_of, takes_class_names
from jlrun.config.sections import EngineSettings
from jlrun.config.slots import (
    BALANCE,
    ENCODER,
    FUSION,
    HEAD,
    OPTIMIZER,
    SCHEDULER,
    SHARING,
    TERM,
    WEIGHTING,
)
from jlrun.data.augmentation.modality_dropout import ModalityDropout
from jlrun.data.specs import Spec
from jlrun.engine import Engine, find_device
from jlrun.errors import UserError
from jlrun.files.limits import bound_files
from jlrun.models.blocks import blocks
from jlrun.models.fusions import Single, TokenFusion
from jlrun.models.joint_model import JointModel
from jlrun.models.sharing import Hard, Sharing
from jlrun.models.trunk import Trunk, token_features
from jlrun.objective.balance import Balance, NoBalance
from jlrun.objective.ramps import ramp
from jlrun.objective.terms import Term
from jlrun.objective.terms.cross_modal import CrossModal, add_spaces
from jlrun.objective.terms.transfer import Distill
from jlrun.objective.terms.transfer.teacher import Teachers
from jlrun.objective.weightings.base import GradientOptions
from jlrun.ranks.launch import current
from jlrun.runs.auto_dropout import AUTO
from jlrun.runs.settings import ModelSettings, Node, Nodes, RecipeSettings
from jlrun.tasks import TaskSpec
from jlrun.training.averaging import NoAverage, WeightAverage
from jlrun.training.plan import Recipe, TermMaker


def make_engine(settings: EngineSettings) -> Engine:
    """Return the engine that the config describes; its memory budget bounds files from now on.

    Raises:
        UserError: if this machine lacks the device, or the device the precision.
    """
    bound_files(settings.memory_budget)
    world = current()
    device = find_device(settings.device)
    if world.several and device.type == "cuda":
        device = torch.device("cuda", torch.cuda.current_device())
    if settings.precision == "fp16" and device.type == "cpu":
        raise UserError.of(
            "engine.precision", "fp16 needs a GPU; on a CPU use engine.precision=bf16 or fp32"
        )
    return Engine(
        device=device,
        precision=settings.precision,
        channels_last=settings.channels_last,
        compile=settings.compile,
        accumulate=settings.accumulate,
        clip_norm=settings.clip_norm,
        memory_budget=settings.memory_budget,
        workers=settings.workers,
        world=world,
        parallel=settings.parallel,
        offload=settings.offload,
        recompute=settings.checkpoint_activations,
        skip_nonfinite=settings.skip_nonfinite,
        sync_batchnorm=settings.sync_batchnorm,
    )


def make_model(
    settings: ModelSettings,
    specs: Mapping[str, Spec],
    modalities: Sequence[str],
    heads: Mapping[str, TaskSpec],
    shares: bool = True,
) -> JointModel:
    """Build a model over ``modalities`` with a head for each entry of ``heads``.

    Tasks share it as the config says, or, without ``shares``, all of it but the heads. Terms
    between modalities add their shared spaces.
    """

    def make_trunk() -> Trunk:
        encoders = {m: build(settings.encoder(m), ENCODER, specs[m]) for m in modalities}
        widths = {m: encoder.out_features for m, encoder in encoders.items()}
        if len(modalities) == 1:
            return Trunk(encoders, Single(widths))
        if builds(settings.fusion, TokenFusion) and not pooled:
            widths = {m: token_features(encoder) for m, encoder in encoders.items()}
        return Trunk(encoders, build(settings.fusion, FUSION, widths), pooled)

    # A sharing architecture that acts between stages leaves a fusion no tokens.
    pooled = shares and class_of(settings.sharing, Sharing).between_stages
    names = tuple(heads)
    body = (
        build(settings.sharing, SHARING, make_trunk, names) if shares else Hard(make_trunk, names)
    )

    def head(spec: TaskSpec) -> torch.nn.Module:
        names = spec.classes if takes_class_names(settings.head) else ()
        return body.build_head(
            lambda width: build(settings.head, HEAD, width, spec.num_outputs, *names)
        )

    model = JointModel(body, {name: head(spec) for name, spec in heads.items()})
    between = (node for node in settings.terms.values() if builds(node, CrossModal))
    add_spaces(model, (build(node, TERM) for node in between))
    return model


def body_blocks(
    settings: ModelSettings,
    specs: Mapping[str, Spec],
    modalities: Sequence[str],
    heads: Mapping[str, TaskSpec],
) -> list[list[str]]:
    """Return the blocks of the model's body (`jlrun.models.blocks`), parts of tasks included."""
    return blocks(make_model(settings.without_weights(), specs, modalities, heads))


def make_recipe(settings: RecipeSettings, modalities: Sequence[str], teachers: Teachers) -> Recipe:
    """Return how phases optimise.

    Args:
        settings: of the recipe.
        modalities: those in use.
        teachers: access to the models of finished runs, for terms that learn from them.
    """
    hidden = settings.modality_dropout
    assert hidden != AUTO, "the data decides it"
    rates = hidden if isinstance(hidden, Mapping) else dict.fromkeys(modalities, hidden)
    weighting, gradient_options = _divided(settings.weighting)
    return Recipe(
        make_optimizer=lambda groups: build(settings.optimizer, OPTIMIZER, groups),
        make_weighting=lambda tasks: build(weighting, WEIGHTING, tasks),
        terms=term_makers(settings.terms, teachers),
        schedule=build(settings.scheduler, SCHEDULER),
        term_scale=settings.term_scale,
        ramp=ramp(settings.ramp),
        make_average=NoAverage
        if settings.ema is None
        else lambda decay=settings.ema: WeightAverage(decay),
        patience=settings.patience,
        modality_dropout=ModalityDropout(rates),
        gradient_options=gradient_options,
        make_balance=NoBalance if settings.balance is None else balance_maker(settings.balance),
    )


def balance_maker(node: Node) -> Callable[[], Balance]:
    """Return what makes the balance; it makes its weightings itself, one for each encoder."""
    parts = {
        key: lambda tasks, part=node[key], slot=slot: build(part, slot, tasks)
        for key, slot in BALANCE.parts.items()
        if isinstance(node.get(key), Mapping)
    }
    rest = {key: value for key, value in node.items() if key not in parts}
    return lambda: build(rest, BALANCE, **parts)


def held_out_by_balance(node: Node | None) -> float:
    """Return the share of the training rows that a balance measures instead."""
    if node is None:
        return 0.0
    return class_of(node, Balance).held_out(arguments_with_defaults(node))


def _divided(node: Node) -> tuple[dict[str, Any], GradientOptions]:
    """Return the node of a weighting without the keys that choose where its gradients come from."""
    keys = {field.name for field in fields(GradientOptions)}
    gradient_options = GradientOptions(**{key: value for key, value in node.items() if key in keys})
    return {key: value for key, value in node.items() if key not in keys}, gradient_options


def term_makers(nodes: Nodes, teachers: Teachers) -> dict[str, TermMaker]:
    """Return what makes each term, with what its class states."""
    return {name: _term_maker(name, node, teachers) for name, node in nodes.items()}


def _term_maker(name: str, node: Node, teachers: Teachers) -> TermMaker:
    kind = class_of(node, Term)
    spans_phase = kind.spans_phase(arguments_with_defaults(node))
    return TermMaker(kind, partial(_make_term, name, node, kind, teachers), spans_phase)


def _make_term(name: str, node: Node, kind: type[Term], teachers: Teachers) -> Term:
    term: Term = build(node, TERM)
    if term.needs != kind.needs:  # a function whose annotation names a base class
        message = f"the function returned a {type(term).__name__}: let its annotation say so"
        raise UserError.of(f"terms.{name}", message)
    if isinstance(term, Distill):
        term.find_teachers_with(teachers)
    return term


def other_modalities(terms: Nodes, teachers: Teachers) -> frozenset[str]:
    """Return the modalities that terms need next to the model's own, such as those of a teacher.

    Args:
        terms: name -> node.
        teachers: access to the models of finished runs.
    """
    return frozenset(
        modality
        for node in terms.values()
        for modality in class_of(node, Term).other_modalities(
            arguments_with_defaults(node), teachers
        )
    )


def also_carried(wanted: Collection[str], offered: Iterable[Mapping[str, Spec]]) -> dict[str, Spec]:
    """Return the modalities that batches carry for terms.

    Those that a data set lacks are left out: the term reports them itself.

    Args:
        wanted: by terms.
        offered: modality -> spec, of each data set.
    """
    first, *others = offered
    return {m: s for m, s in first.items() if m in wanted and all(m in o for o in others)}
