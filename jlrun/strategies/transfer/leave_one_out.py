"""Leave-one-domain-out: how well a recipe does on a source that it has not seen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from jlrun.data.labelled_streams import LabelledStreams
from jlrun.data.streams import Stream
from jlrun.errors import UserError
from jlrun.evaluation.scores import SplitScores
from jlrun.evaluation.selectors import SelectByValidation
from jlrun.strategies.gain import mean_primary
from jlrun.strategies.plan_parts import PlanContext
from jlrun.strategies.transfer.domains import Domains, domain
from jlrun.tasks.objective import Objective
from jlrun.training.plan import Comparison, Fit, Phase
from jlrun.wording import counted

RESULT = "leave_one_domain_out"
WHERE = "adapt.leave_one_out"
LEFT_OUT = "left_out/"


def left_out_fits(domains: Domains, main: Fit, context: PlanContext) -> tuple[Fit, ...]:
    """Return a fit for each source, like ``main`` but without this source, and scored on it.

    The leave-one-domain-out validation of Gulrajani & Lopez-Paz, "In Search of Lost Domain
    Generalization", ICLR 2021, section 3. Differs from it in: a source that was left out is scored
    on its validation rows alone, and each fit is scored at the epoch that the validation rows of
    its own sources select, not at the epoch that is best for all sources left out.

    Each does at least as many optimizer steps in each phase as ``main``. No test row is read.

    Raises:
        UserError: if there are too few sources, a source has no task of the others, or a
            self-supervised phase goes before.
    """
    _check(domains, context)
    return tuple(_without(dataset, domains, main) for dataset in domains.sources)


def left_out_streams(domains: Domains) -> dict[str, Stream]:
    """Return stream name -> what the fits of `left_out_fits` are scored on."""
    return {f"{LEFT_OUT}{domain(dataset)}": dataset.val for dataset in domains.sources}


def with_left_out(
    comparison: Comparison, scores: Mapping[str, SplitScores], domains: Domains
) -> Comparison:
    """Return ``comparison`` with the scores on sources left out, whose mean is the objective.

    Args:
        comparison: of the other fits.
        scores: fit -> its scores; those on the source left out stand in the place of test scores.
        domains: all sources and the target.
    """
    tasks = tuple(o.spec for o in domains.shared())
    per_source, means = {}, []
    for dataset in domains.sources:
        found = scores[f"{LEFT_OUT}{domain(dataset)}"].test
        known = [spec for spec in tasks if spec.name in found]
        per_source[domain(dataset)] = {s.name: found[s.name][s.task.primary] for s in known}
        means.append(mean_primary(found, known))
    mean = sum(means) / len(means)
    return replace(
        comparison,
        objective=(f"{RESULT}/mean_score", mean),
        extra={**comparison.extra, RESULT: {**per_source, "mean": mean}},
    )


def _check(domains: Domains, context: PlanContext) -> None:
    count, several = len(domains.sources), "several sources" in context.needs
    needed = 3 if several else 2
    if count < needed:
        why = ", since a term compares several sources" if several else ""
        found = counted(count, "source")
        raise UserError.of(WHERE, f"needs at least {needed} sources{why}, found {found}")
    if "views" in context.needs and not any(dataset.train.has_views for dataset in domains.sources):
        raise UserError.of(
            WHERE,
            "the phase of self-supervised terms would see the source that is left out; set "
            "pretraining.epochs=0, so that they are added to the losses",
        )


def _without(dataset: LabelledStreams, domains: Domains, main: Fit) -> Fit:
    phases = tuple(_phase_without(dataset.name, phase) for phase in main.phases)
    learned = phases[-1].objectives
    heads = {o.head: o.spec for o in learned}
    wanted = heads.keys() & {o.head for o in domains.shared()}
    scored = tuple(_scored(dataset, [o for o in domains.on_sources() if o.head in wanted]))
    if not scored:
        raise UserError.of(
            WHERE, f"'{domain(dataset)}' can't be left out: no other source has its tasks"
        )
    return replace(
        main,
        name=f"{LEFT_OUT}{domain(dataset)}",
        heads=heads,
        phases=phases,
        scored=scored,
        also_scored={},
        val_scored=learned,
    )


def _phase_without(name: str, phase: Phase) -> Phase:
    objectives = tuple(o for o in phase.objectives if o.stream != name)
    fewer = replace(
        phase,
        train={key: stream for key, stream in phase.train.items() if key != name},
        val={key: stream for key, stream in phase.val.items() if key != name},
        objectives=objectives,
        selection=objectives,
        selector=SelectByValidation(),
        oracle=(),
        oracle_streams={},
    )
    return replace(fewer, epochs=math.ceil(phase.num_steps / fewer.steps_per_epoch))


def _scored(dataset: LabelledStreams, objectives: Sequence[Objective]) -> Iterator[Objective]:
    stream = f"{LEFT_OUT}{domain(dataset)}"
    for o in objectives:
        if o.stream == dataset.name:
            yield Objective(o.spec.name, stream, o.spec, o.head)
