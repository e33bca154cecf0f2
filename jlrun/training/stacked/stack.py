"""Stack: N runs in the middle of their phases, whose steps are done together."""

# N runs, T objectives, B rows of a batch

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.models.joint_model import JointModel, Outputs
from jlrun.objective.weightings.base import LossWeighting
from jlrun.seeding import seed_everything
from jlrun.training.forward import MicroBatchLosses, StepForward
from jlrun.training.passes.scalar import ScalarPasses
from jlrun.training.spans import Span
from jlrun.training.stacked.draws import Draws
from jlrun.training.stacked.layers import Layers, divided
from jlrun.training.stacked.optimizer import StackedOptimizer, options_of
from jlrun.training.stats import StepStats
from jlrun.training.step import stats_of


class RunsFailed(Exception):
    """Losses or gradients of some runs are not finite; no parameter has moved.

    Args:
        what: run -> what is not, in words.
    """

    def __init__(self, what: Mapping[int, str]) -> None:
        super().__init__(what)
        self.what = dict(what)


class Stack:
    """N runs of one kind (`jlrun.training.stacked.fitness`) that train as one.

    Their models' parameters, and the states of their optimizers, become views of tensors with an
    axis for the runs: whatever looks at a run finds it as if it trained by itself.

    Args:
        spans: of the runs.

    Attributes:
        rows: that each run was trained on in this span.
    """

    def __init__(self, spans: Sequence[Span]) -> None:
        self.spans = sorted(spans, key=_by_options)  # equal options one after the other
        self.runs = [span.run for span in self.spans]
        self.learners = [run.learner for run in self.runs]
        self._engine = self.spans[0].context.engine
        self._draws = Draws(len(self.runs))
        self.begin()
        layers = Layers(len(self.runs), self._draws)
        model = layers.stacked([learner.model for learner in self.learners])
        assert isinstance(model, JointModel)
        self._model = model
        self._shared = layers.shared
        self.in_turn = tuple(layers.in_turn)
        self._optimizer = StackedOptimizer(self.learners, layers.shared)

    def begin(self) -> None:
        """Begin a span: each run may have been evaluated since the last one."""
        self.rows = 0
        for learner in self.learners:
            learner.train_mode()

    def end(self) -> None:
        """End a span: each run has its part of everything."""
        self._optimizer.forget_gradients()
        self._optimizer.give_state()

    def step(self) -> None:
        """Do a step of all runs.

        Raises:
            RunsFailed: if a loss or gradient is not a finite number.
        """
        batches = [next(s.run.batches(s.context.seed)) for s in self.spans]
        self._begin_step()
        forwards = self._forwards(batches)
        losses, totals = self._losses(forwards, self._outputs(batches))
        torch.stack(totals).sum().backward()
        self._optimizer.give_gradients()
        self._collect_strays()
        norms = self._optimizer.norms()
        if self._engine.clip_norm is not None:
            self._optimizer.clip(norms, self._engine.clip_norm)
        each = zip(forwards, losses, totals, norms.unbind(), strict=True)
        stats = [stats_of(f, [loss], total.detach(), n, {}) for f, loss, total, n in each]
        self._check_finite(stats)
        self._optimizer.step()
        self._after_step(forwards, stats)

    def _begin_step(self) -> None:
        self._optimizer.forget_gradients()
        factors, seeds = [], []
        for span in self.spans:
            phase, step = span.run.phase, span.run.state.step
            factors.append(phase.recipe.schedule(step, phase.num_steps))
            seeds.append(partial(seed_everything, span.context.seed, phase.name, step))
        self._optimizer.set_lr(factors)
        self._draws.begin_step(seeds)

    def _forwards(self, batches: Sequence[Mapping[str, Batch]]) -> list[StepForward]:
        found = []
        for span, own in zip(self.spans, batches, strict=True):
            phase = span.run.phase
            progress = span.run.state.step / phase.num_steps
            found.append(StepForward.of(span.run.learner, phase, self._engine, own, progress))
        return found

    def _outputs(self, batches: Sequence[Mapping[str, Batch]]) -> list[dict[str, Outputs]]:
        """Return the outputs of each run, by stream, of one pass over the rows of all."""
        heads, count = self.runs[0].phase.heads, len(self.runs)
        found: list[dict[str, Outputs]] = [{} for _ in self.runs]
        for name in batches[0]:
            if name not in heads:
                continue
            joined = Batch({m: _joined(batches, name, m) for m in batches[0][name].inputs})
            outputs = self._model(joined, heads[name])
            each = zip(
                divided(outputs.features, count),
                outputs.fused.unflatten(0, (count, -1)).unbind(),
                divided(outputs.logits, count),
                strict=True,
            )
            for own, (features, fused, logits) in zip(found, each, strict=True):
                own[name] = Outputs(features, fused, logits)
        return found

    def _losses(
        self, forwards: Sequence[StepForward], outputs: Sequence[Mapping[str, Outputs]]
    ) -> tuple[list[MicroBatchLosses], list[Tensor]]:
        """Return the losses of each run, and the scalars that are differentiated."""
        losses, totals = [], []
        for number, (forward, known) in enumerate(zip(forwards, outputs, strict=True)):
            weighting = forward.learner.weighting
            assert isinstance(weighting, LossWeighting)
            with self._draws.of(number):
                found = forward.run(forward.micro_batches[0], known=known)
                scalar = ScalarPasses(forward, weighting).weighed(found.values)
                totals.append(found.with_penalties(scalar))
            losses.append(found)
        return losses, totals

    def _collect_strays(self) -> None:
        """Add the gradients of terms that looked at a run's own parameters."""
        for shared in self._shared:
            for number, parameter in enumerate(shared.own):
                if parameter.grad is not None and shared.stacked.grad is not None:
                    shared.stacked.grad[number] += parameter.grad

    def _check_finite(self, stats: Sequence[StepStats]) -> None:
        finite = torch.stack([each.finite(gradients=True) for each in stats])
        if bool(finite.all()):
            return
        failed: dict[int, str] = {}
        for number, (run, each) in enumerate(zip(self.runs, stats, strict=True)):
            if not bool(finite[number]):
                labels = [objective.label for objective in run.phase.objectives]
                failed[number] = each.first_not_finite(labels, list(run.learner.terms))
        raise RunsFailed(failed)

    def _after_step(self, forwards: Sequence[StepForward], stats: Sequence[StepStats]) -> None:
        self.rows += forwards[0].num_rows
        for span, forward, each in zip(self.spans, forwards, stats, strict=True):
            span.run.learner.after_step(forward.progress)
            span.run.state.step += 1
            span.run.take_in(each, span.context.recorder)


def _joined(batches: Sequence[Mapping[str, Batch]], stream: str, modality: str) -> Tensor:
    return torch.cat([own[stream].inputs[modality] for own in batches])


def _by_options(span: Span) -> Any:
    learner = span.run.learner
    groups = range(len(learner.optimizer.param_groups))
    return repr([sorted(options_of(learner, number).items()) for number in groups])
