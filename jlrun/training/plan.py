"""Plan of a run: a list of fits, each a list of phases with streams, objectives and rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from torch.optim import Optimizer

from jlrun.data.augmentation.modality_dropout import ModalityDropout
from jlrun.data.sampling import All, Sampling
from jlrun.data.streams import Stream
from jlrun.evaluation.scores import Scores, SplitScores
from jlrun.evaluation.selectors import SelectByValidation, Selector
from jlrun.models.joint_model import JointModel
from jlrun.objective.balance import Balance, NoBalance
from jlrun.objective.ramps import Constant, Ramp
from jlrun.objective.terms.base import TARGET, Need, Term
from jlrun.objective.weightings.base import GradientOptions, Weighting
from jlrun.tasks import TaskSpec
from jlrun.tasks.objective import Objective
from jlrun.training.averaging import Average, NoAverage
from jlrun.training.parameter_rules import ParameterRule, body_and_head
from jlrun.training.schedules import Schedule

if TYPE_CHECKING:
    from jlrun.evaluation.scores import Predict


def leave_as_it_is(model: JointModel) -> None:
    """Begin with the model as it was built."""


@dataclass(frozen=True)
class TermMaker:
    """Maker of a term, afresh in every phase; its class states what the term needs.

    Attributes:
        kind: class of the term.
        make: () -> the term.
        spans_phase: whether the term depends on progress (`Term.spans_phase`).
    """

    kind: type[Term]
    make: Callable[[], Term]
    spans_phase: bool = False

    def acts_in(self, offers: frozenset[Need]) -> bool:
        """Return whether the term acts in a phase with these `Phase.offers`."""
        return self.kind.needs is None or self.kind.needs in offers


@dataclass(frozen=True)
class Recipe:
    """Recipe of a phase's optimisation; every method starts afresh in every phase.

    Attributes:
        make_optimizer: parameter groups -> optimizer.
        make_weighting: objective labels -> weighting.
        terms: term name -> what makes the term.
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
    terms: Mapping[str, TermMaker]
    schedule: Schedule
    term_scale: float
    patience: int | None
    gradient_options: GradientOptions = field(default_factory=GradientOptions)
    ramp: Ramp = field(default_factory=Constant)
    make_average: Callable[[], Average] = NoAverage
    make_balance: Callable[[], Balance] = NoBalance
    modality_dropout: ModalityDropout = field(default_factory=ModalityDropout)


@dataclass(frozen=True)
class Phase:
    """A part of training with fixed streams, objectives and parameter rules.

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
            of it is reported next to the selected weights, and selects nothing.
        oracle_streams: stream name -> test stream.
        held: stream name -> training rows that are not trained on, for the balance to measure.
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
    selector: Selector = field(default_factory=SelectByValidation)
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
    def labels(self) -> tuple[str, ...]:
        """Labels of the objectives, in their order."""
        return tuple(objective.label for objective in self.objectives)

    @cached_property
    def specs(self) -> Mapping[str, TaskSpec]:
        """Head -> task, of all heads that are computed."""
        return {o.head: o.spec for o in (*self.observed, *self.objectives)}

    @cached_property
    def offers(self) -> frozenset[Need]:
        """Return what the phase offers to terms (`jlrun.objective.terms.base.Term.needs`)."""
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
        shares: whether tasks share the model as configured; else they share all but the heads.
        also_scored: result key -> more objectives that the test scores cover.
        val_scored: what the validation scores are about, where that differs.
        begin: changes the model before any training: weights from elsewhere, adapters.
        interpolated: whether models between the weights before the last phases and the selected
            ones are scored, too: the name of the earlier phase's checkpoint, or ``""`` for the
            model before any training; None: no.
        pretrained_alike: whether a self-supervised phase that goes before the main fit's phases
            goes before those of this one, too.
        independent_of: top-level parts of the config without influence on this fit, added to those
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
class CheckpointEnsemble:
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
    """Report nothing but scores."""
    return {}


@dataclass(frozen=True)
class Plan:
    """All that a run trains and scores.

    Attributes:
        fits: the main fit first, then the baselines that are trained.
        ensembles: baselines made of the fits' checkpoints.
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
    ensembles: tuple[CheckpointEnsemble, ...] = ()
    report: Callable[[Callable[[str], Predict]], Mapping[str, object]] = nothing_more


@dataclass(frozen=True)
class Comparison:
    """Comparison of the main fit with its baselines.

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
