"""A plan is a list of fits, a fit a list of phases: what is fed, what is learned, what trains."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from torch import nn
from torch.optim import Optimizer

from jlrun.data.sampling import All, Sampling
from jlrun.data.streams import Stream
from jlrun.schedules import Schedule
from jlrun.tasks import TaskSpec
from jlrun.terms.base import Term
from jlrun.weightings.base import Weighting
from jlrun.weightings.route import GradientRoute


@dataclass(frozen=True)
class Objective:
    """A task learned or scored on a stream.

    Attributes:
        label: its name in records and results, for example ``digit`` or ``source.digit``.
        stream: name of the stream that feeds it.
        spec: the task and its classes.
        head: name of the head in the model.
        scale: constant factor of its loss, before the weighting.
    """

    label: str
    stream: str
    spec: TaskSpec
    head: str
    scale: float = 1.0


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


BODY = r"^body\."
HEADS = r"^heads\."


def body_and_head(body_lr: float = 1.0, head_lr: float = 1.0) -> tuple[ParameterRule, ...]:
    """Return the two rules most plans need."""
    return (ParameterRule("body", BODY, body_lr), ParameterRule("head", HEADS, head_lr))


@dataclass(frozen=True)
class Recipe:
    """How a phase optimises, from the config; every method starts afresh in every phase.

    Attributes:
        make_optimizer: parameter groups -> optimizer.
        make_weighting: objective labels -> weighting.
        make_terms: () -> term name -> term.
        route: where a weighting of task gradients takes them.
        schedule: learning-rate schedule.
        term_scale: λ, which multiplies all terms.
        patience: epochs without a better validation score before a phase stops; None: never.
    """

    make_optimizer: Callable[[list[dict[str, object]]], Optimizer]
    make_weighting: Callable[[tuple[str, ...]], Weighting]
    make_terms: Callable[[], Mapping[str, Term]]
    schedule: Schedule
    term_scale: float
    patience: int | None
    route: GradientRoute = field(default_factory=GradientRoute)


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


@dataclass(frozen=True)
class Plan:
    """Everything a run trains and scores.

    Attributes:
        fits: the main fit first, then the baselines that are trained.
        reused: baselines made of the fits' checkpoints.
        test: stream name -> test stream, read once for each fit, at its end.
        val: stream name -> validation stream of the scored objectives.
        compare: val and test scores by fit or baseline name -> baselines and gain of the result.
    """

    fits: tuple[Fit, ...]
    test: Mapping[str, Stream]
    val: Mapping[str, Stream]
    compare: Callable[[Mapping[str, SplitScores]], Comparison]
    reused: tuple[Reuse, ...] = ()


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
    """

    baselines: Mapping[str, Scores]
    gain: Mapping[str, object] | None


def modules_without_training(model: nn.Module, frozen: Sequence[str]) -> list[nn.Module]:
    """Return the submodules all of whose own and inner parameters are named in ``frozen``."""
    names = set(frozen)
    found = []
    for prefix, module in model.named_modules():
        inner = [f"{prefix}.{name}" if prefix else name for name, _ in module.named_parameters()]
        if inner and names.issuperset(inner):
            found.append(module)
    return found
