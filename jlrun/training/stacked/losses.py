"""Losses of the runs of a stack: of all at once where nothing is asked of a run alone."""

# N runs, T objectives, B rows of a batch

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.models.joint_model import Outputs
from jlrun.objective.labelled_rows import row_losses
from jlrun.objective.ramps import Constant
from jlrun.objective.weightings import Equal, Static
from jlrun.objective.weightings.base import LossWeighting
from jlrun.training.forward import StepForward
from jlrun.training.micro_batch_losses import MicroBatchLosses
from jlrun.training.passes.scalar import ScalarPasses
from jlrun.training.spans import PhaseRun
from jlrun.training.stacked.draws import Draws
from jlrun.training.stacked.layers import divided
from jlrun.training.stats import StepStats
from jlrun.training.step import stats_of


@dataclass(frozen=True)
class StackedLosses:
    """Losses of a step of N runs.

    Attributes:
        totals: ``(N,)``, what is differentiated.
        sums: ``(N, T)``, detached sums over labelled rows, without scales.
        labelled: of each run T numbers, its labelled rows.
        terms: ``(N, J)``, detached.
        num_rows: of the batches of one run.
    """

    totals: Tensor
    sums: Tensor
    labelled: Sequence[tuple[int, ...]]
    terms: Tensor
    num_rows: int

    def finite(self, norms: Tensor) -> Tensor:
        """Return Bool ``(N,)``: whether the losses of a run, and its gradient's norm, are."""
        columns = [self.totals.detach()[:, None], norms[:, None], self.sums, self.terms]
        # 0 · x is not a number where x is none or infinite, and neither is a sum with it.
        return (torch.cat(columns, dim=1) * 0).sum(dim=1) == 0

    def stats(self, norms: Tensor) -> list[StepStats]:
        """Return the measurements of each run."""
        each = zip(
            *(self.sums, self.labelled, self.terms, self.totals.detach(), norms), strict=True
        )
        return [StepStats(*columns, num_rows=self.num_rows) for columns in each]


class PlainLosses:
    """Losses of runs whose objectives are weighed by numbers, and that have no terms.

    Args:
        runs: for which `is_plain`.
    """

    def __init__(self, runs: Sequence[PhaseRun]) -> None:
        self._objectives = runs[0].phase.objectives
        scales = torch.tensor([[o.scale for o in run.phase.objectives] for run in runs])
        weights = torch.stack([run.learner.weighting.last_weights for run in runs])
        self._factors = scales * weights
        self._nothing = torch.zeros(len(runs), 0)

    def of(self, batches: Mapping[str, Batch], logits: Mapping[str, Mapping[str, Tensor]]) -> Any:
        """Return the losses of a step.

        Args:
            batches: stream -> the rows of all runs, ``(N·B, ...)``.
            logits: stream -> head -> of all these rows.
        """
        count = len(self._factors)
        means, labelled = list[Tensor](), list[int]()
        for objective in self._objectives:
            if objective.stream not in batches:
                means.append(self._nothing.new_zeros(count))
                labelled.append(0)
                continue
            batch, spec = batches[objective.stream], objective.spec
            z = logits[objective.stream][objective.head].float()
            rows = row_losses(spec.task, z, batch, spec.column).view(count, -1)
            means.append(rows.sum(dim=1) / rows.shape[1])
            labelled.append(rows.shape[1])
        tasks = torch.stack(means, dim=1)
        return StackedLosses(
            totals=(self._factors * tasks).sum(dim=1),
            sums=tasks.detach() * self._nothing.new_tensor(labelled),
            labelled=[tuple(labelled)] * count,
            terms=self._nothing,
            num_rows=sum(batch.size for batch in batches.values()) // count,
        )


def is_plain(runs: Sequence[PhaseRun], batches: Mapping[str, Batch]) -> bool:
    """Return whether the losses of runs are means over all rows, weighed by numbers."""
    first = runs[0].phase.objectives
    whole = all(not b.labelled and not b.mixed_targets for b in batches.values())
    return whole and all(
        not run.learner.terms
        and type(run.learner.weighting) in (Equal, Static)
        and (isinstance(run.phase.recipe.ramp, Constant) or not any(o.ramped for o in first))
        and all(
            ours.spec.classes == theirs.spec.classes
            and type(ours.spec.task) is type(theirs.spec.task)
            and _state(ours.spec.task) == _state(theirs.spec.task)
            for ours, theirs in zip(run.phase.objectives, first, strict=True)
        )
        for run in runs
    )


def _state(task: object) -> dict[str, str]:
    return {name: repr(value) for name, value in vars(task).items()}


def run_by_run(
    forwards: Sequence[StepForward], outputs: Mapping[str, Outputs], draws: Draws
) -> StackedLosses:
    """Return the losses of a step, each run's with its own weighting and terms.

    Args:
        forwards: of the runs.
        outputs: stream -> the model's outputs on the rows of all runs.
        draws: of the runs.
    """
    each = [_outputs_of(outputs, number, len(forwards)) for number in range(len(forwards))]
    losses, totals = list[MicroBatchLosses](), list[Tensor]()
    for number, (forward, known) in enumerate(zip(forwards, each, strict=True)):
        weighting = forward.learner.weighting
        assert isinstance(weighting, LossWeighting)
        with draws.of(number):
            found = forward.run(forward.micro_batches[0], known=known)
            scalar = ScalarPasses(forward, weighting).weighed(found.values)
            totals.append(found.with_penalties(scalar))
        losses.append(found)
    nothing = torch.zeros(())
    stats = [
        stats_of(forward, [own], total.detach(), nothing, {})
        for forward, own, total in zip(forwards, losses, totals, strict=True)
    ]
    return StackedLosses(
        totals=torch.stack(totals),
        sums=torch.stack([s.loss_sums for s in stats]),
        labelled=[s.labelled for s in stats],
        terms=torch.stack([s.term_losses for s in stats]),
        num_rows=forwards[0].num_rows,
    )


def _outputs_of(outputs: Mapping[str, Outputs], number: int, count: int) -> dict[str, Outputs]:
    """Return stream -> the outputs of one of N runs."""
    return {
        name: Outputs(
            divided(found.features, count)[number],
            found.fused.unflatten(0, (count, -1))[number],
            divided(found.logits, count)[number],
        )
        for name, found in outputs.items()
    }
