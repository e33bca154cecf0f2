"""A plan is a list of fits, a fit a list of phases: what is fed, what is learned, what trains."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, Protocol

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from jlrun.data.augmentation.modality_dropout import ModalityDropout
from jlrun.data.sampling import All, Sampling
from jlrun.data.streams import Stream
from jlrun.engine import Engine
from jlrun.models.joint_model import JointModel
from jlrun.objective.balance import Balance, NoBalance
from jlrun.objective.ramps import Constant, Ramp
from jlrun.objective.terms.base import TARGET, Need, Term
from jlrun.objective.weightings.base import Weighting
from jlrun.objective.weightings.gradient_options import GradientRoute
from jlrun.tasks import TaskSpec
from jlrun.training.averaging import Average, NoAverage
from jlrun.training.schedules import Schedule

if TYPE_CHECKING:
    from jlrun.evaluation.scores import Predict


@dataclass(frozen=True)
class Objective:
    """A task learned or scored on a stream.

    Attributes:
        label: its name in records and results, for example ``digit`` or ``source.digit``.
        stream: name of the stream that feeds it.
        spec: the task and its classes.
        head: name of the head in the model.
        scale: factor of its loss, before the weighting.
        ramped: whether the recipe's ramp multiplies the scale.
    """

    label: str
    stream: str
    spec: TaskSpec
    head: str
    scale: float = 1.0
    ramped: bool = False


@dataclass(frozen=True)
class ParameterRule:
    """How the parameters whose names match a pattern train.

    Attributes:
        group: name of the group in ``train/lr/<group>``.
        pattern: regular expression, searched in parameter names such as ``heads.digit.weight``.
        lr: multiplies the optimizer's learning rate; 0 freezes, BatchNorm statistics included.
    """

    group: str
    pattern: str
    lr: float = 1.0

    def matches(self, name: str) -> bool:
        """Whether the rule is about the parameter called ``name``."""
        return re.search(self.pattern, name) is not None


def rule_for(name: str, rules: Sequence[ParameterRule]) -> ParameterRule:
    """Return the first of ``rules`` about a parameter; without any, it trains as it is."""
    return next((rule for rule in rules if rule.matches(name)), ParameterRule("rest", ""))


def leave_as_it_is(model: JointModel) -> None:
    """Begin with the model as it was built."""


BODY = r"^body\."
HEADS = r"^heads\."
ADAPTERS = r"\.lora_[ab]$"


def body_and_head(body_lr: float = 1.0, head_lr: float = 1.0) -> tuple[ParameterRule, ...]:
    """Return the rules most plans need; adapters (`jlrun.models.lora`) stay as they are."""
    return (
        ParameterRule("adapters", ADAPTERS, 0.0),
        ParameterRule("body", BODY, body_lr),
        ParameterRule("head", HEADS, head_lr),
    )


@dataclass(frozen=True)
class Recipe:
    """How a phase optimises, from the config; every method starts afresh in every phase.

    Attributes:
        make_optimizer: parameter groups -> optimizer.
        make_weighting: objective labels -> weighting.
        make_terms: () -> term name -> term.
        schedule: learning-rate schedule.
        term_scale: λ, which multiplies all terms.
        patience: epochs without a better validation score before a phase stops; None: never.
        route: where a weighting of task gradients takes them.
        ramp: share of the phase's steps done -> factor of λ, wherever λ stands.
        make_average: () -> the running average of the weights that is scored and kept.
        make_balance: () -> the balance of the modalities, where there are several.
        modality_dropout: what training rows lose of their modalities.
    """

    make_optimizer: Callable[[list[dict[str, object]]], Optimizer]
    make_weighting: Callable[[tuple[str, ...]], Weighting]
    make_terms: Callable[[], Mapping[str, Term]]
    schedule: Schedule
    term_scale: float
    patience: int | None
    route: GradientRoute = field(default_factory=GradientRoute)
    ramp: Ramp = field(default_factory=Constant)
    make_average: Callable[[], Average] = NoAverage
    make_balance: Callable[[], Balance] = NoBalance
    modality_dropout: ModalityDropout = field(default_factory=ModalityDropout)


@dataclass(frozen=True)
class Judgement:
    """What a judge says of a model.

    Attributes:
        score: larger is better; None: the mean validation score counts.
        shown: those of the values that are told after each epoch.
        values: tag -> value, for the records.
    """

    score: float | None = None
    shown: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)


class Judge(Protocol):
    """Scores a model at the end of an epoch without looking at the target's labels.

    ``criterion`` is what its score is called in results.
    """

    @property
    def criterion(self) -> str: ...

    def __call__(self, model: JointModel, engine: Engine, epoch: int) -> Judgement:
        """Judge ``model``, in evaluation mode, after ``epoch`` epochs of the phase."""
        ...


class NoJudge:
    """The validation score selects."""

    criterion = "val/mean_score"

    def __call__(self, model: JointModel, engine: Engine, epoch: int) -> Judgement:
        return Judgement()


@dataclass(frozen=True)
class Phase:
    """A stretch of training with fixed streams, objectives and parameter rules.

    Attributes:
        name: for example ``pretrain``.
        train: stream name -> training stream.
        val: stream name -> validation stream.
        objectives: what is learned.
        selection: the objectives whose mean validation score selects the checkpoint.
        epochs: of ``steps_per_epoch`` steps each.
        recipe: optimizer, weighting, terms and schedule.
        rules: how parameters train; the first that matches counts, others train as they are.
        sampling: which streams each step takes a batch from.
        observed: what is computed for the terms, but not learned. Streams that neither an
            objective nor this is about are not passed through the model.
        learned: whether the weights it starts from were learned.
        joined: whether the batches of a step pass through the model as one, so that BatchNorm
            normalises them together.
        batch_norm: ``freeze`` keeps the running statistics of every BatchNorm, and normalises by
            them.
        across_modalities: whether terms between modalities act.
        judge: scores the model at the end of each epoch, where selection has no labels.
        oracle: objectives to be scored on ``oracle_streams`` at the end of each epoch; what comes
            of it is reported beside the selected weights, and selects nothing.
        oracle_streams: stream name -> test stream.
        held: stream name -> training rows that are not trained on, for the balance to look at.
    """

    name: str
    train: Mapping[str, Stream]
    val: Mapping[str, Stream]
    objectives: tuple[Objective, ...]
    selection: tuple[Objective, ...]
    epochs: int
    recipe: Recipe
    rules: tuple[ParameterRule, ...] = body_and_head()
    sampling: Sampling = field(default_factory=All)
    observed: tuple[Objective, ...] = ()
    learned: bool = False
    joined: bool = False
    batch_norm: Literal["train", "freeze"] = "train"
    across_modalities: bool = False
    judge: Judge = field(default_factory=NoJudge)
    oracle: tuple[Objective, ...] = ()
    oracle_streams: Mapping[str, Stream] = field(default_factory=dict)
    held: Mapping[str, Stream] = field(default_factory=dict)

    @cached_property
    def heads(self) -> Mapping[str, tuple[str, ...]]:
        """Stream -> the heads that are computed on it; streams without any are left out."""
        found: dict[str, dict[str, None]] = {}
        for objective in (*self.objectives, *self.observed):
            found.setdefault(objective.stream, {})[objective.head] = None
        return {stream: tuple(heads) for stream, heads in found.items()}

    @cached_property
    def specs(self) -> Mapping[str, TaskSpec]:
        """Head -> task, of all heads that are computed."""
        return {o.head: o.spec for o in (*self.observed, *self.objectives)}

    @cached_property
    def offers(self) -> frozenset[Need]:
        """What terms find here (`jlrun.objective.terms.base.Term.needs`)."""
        sources = [name for name in self.heads if name != TARGET]
        found: dict[Need, bool] = {
            "learned weights": self.learned,
            "target": TARGET in self.heads and bool(sources),
            "several sources": len(sources) > 1,
            "views": any(stream.has_views for stream in self.train.values()),
            "several modalities": self.across_modalities,
        }
        return frozenset(need for need, offered in found.items() if offered)

    @cached_property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch."""
        lengths = [stream.steps_per_epoch for stream in self.train.values()]
        return self.sampling.num_steps(self.sampling.counts(lengths))

    @property
    def num_steps(self) -> int:
        """Optimizer steps in the phase, if it does not stop early."""
        return self.epochs * self.steps_per_epoch


@dataclass(frozen=True)
class Fit:
    """One model and the phases it goes through; the main one or a baseline.

    Attributes:
        name: ``main``, or the name of a baseline such as ``single_task/digit``.
        modalities: what the model takes.
        heads: head name -> the task it serves.
        phases: in order; each starts from the selected weights of the one before.
        scored: what the validation and test scores of the fit are about.
        shares: whether tasks share the model as the config says; else they share all but the heads.
        also_scored: result key -> more objectives that the test scores cover.
        val_scored: what the validation scores are about, where that differs.
        begin: changes the model before any training: weights from elsewhere, adapters.
        interpolated: whether models between the weights before the last phases and the selected
            ones are scored, too: the name of the earlier phase's checkpoint, or ``""`` for the
            model before any training; None: no.
        pretrained_alike: whether a self-supervised phase that goes before the main fit's phases
            goes before those of this one, too.
        independent_of: top-level parts of the config without influence on this fit, beside those
            that influence none; runs that agree in all others share it. None: it is not shared.
    """

    name: str
    modalities: tuple[str, ...]
    heads: Mapping[str, TaskSpec]
    phases: tuple[Phase, ...]
    scored: tuple[Objective, ...]
    shares: bool = True
    also_scored: Mapping[str, tuple[Objective, ...]] = field(default_factory=dict)
    val_scored: tuple[Objective, ...] | None = None
    begin: Callable[[JointModel], None] = leave_as_it_is
    interpolated: str | None = None
    pretrained_alike: bool = False
    independent_of: frozenset[str] | None = None


@dataclass(frozen=True)
class Reuse:
    """A baseline that trains nothing: the mean prediction of checkpoints of the plan's fits.

    Attributes:
        name: of the baseline, for example ``ensemble``.
        members: pairs of a fit's name and its checkpoint (``best``, or an earlier phase's name).
        scored: what its scores are about.
    """

    name: str
    members: tuple[tuple[str, str], ...]
    scored: tuple[Objective, ...]


def nothing_more(predict: Callable[[str], Predict]) -> Mapping[str, object]:
    """Report nothing beside scores."""
    return {}


@dataclass(frozen=True)
class Plan:
    """Everything a run trains and scores.

    Attributes:
        fits: the main fit first, then the baselines that are trained.
        reused: baselines made of the fits' checkpoints.
        test: stream name -> test stream, read once for each fit, at its end.
        val: stream name -> validation stream of the scored objectives.
        compare: val and test scores by fit or baseline name -> baselines and gain of the result.
        report: (name of a fit -> predictions of its selected weights) -> what the result has
            besides: key -> plain values.
    """

    fits: tuple[Fit, ...]
    test: Mapping[str, Stream]
    val: Mapping[str, Stream]
    compare: Callable[[Mapping[str, SplitScores]], Comparison]
    reused: tuple[Reuse, ...] = ()
    report: Callable[[Callable[[str], Predict]], Mapping[str, object]] = nothing_more


Scores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class SplitScores:
    """Scores by task and metric on the validation and test splits."""

    val: Scores
    test: Scores


@dataclass(frozen=True)
class Comparison:
    """How the main fit does against what it must beat.

    Attributes:
        baselines: baseline -> task -> metric -> score on the test split.
        gain: the ``gain`` of ``result.json``; None without baselines.
        objective: name and value of what sweeps compare, larger is better; None: the score that
            selected the weights.
        extra: what the result has besides: key -> plain values.
    """

    baselines: Mapping[str, Scores]
    gain: Mapping[str, object] | None
    objective: tuple[str, float] | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


def batch_norms(model: nn.Module) -> list[nn.Module]:
    """Return the BatchNorm layers of ``model``."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


def modules_without_training(model: nn.Module, frozen: Sequence[str]) -> list[nn.Module]:
    """Return the submodules all of whose own and inner parameters are named in ``frozen``."""
    names = set(frozen)
    found = []
    for prefix, module in model.named_modules():
        inner = [f"{prefix}.{name}" if prefix else name for name, _ in module.named_parameters()]
        if inner and names.issuperset(inner):
            found.append(module)
    return found
