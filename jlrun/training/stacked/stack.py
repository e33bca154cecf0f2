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
from jlrun.seeding import seed_everything
from jlrun.training.averaging import NoAverage
from jlrun.training.forward import StepForward
from jlrun.training.spans import Span
from jlrun.training.stacked.draws import Draws
from jlrun.training.stacked.joint_pass import jointly
from jlrun.training.stacked.layers import Layers
from jlrun.training.stacked.losses import PlainLosses, is_plain, run_by_run
from jlrun.training.stacked.optimizer import StackedOptimizer, options_of
from jlrun.training.stacked.rows import GatheredRows, can_gather, joined
from jlrun.training.stats import StepStats


class RunsFailed(Exception):
    """Losses or gradients of some runs are not finite; the step of the others is done.

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
        self._gathered = GatheredRows(self.spans) if can_gather(self.spans) else None
        example = joined([next(s.run.batches(s.context.seed)) for s in self.spans])
        for run in self.runs:
            run.forget_batches()
        self._plain = PlainLosses(self.runs) if is_plain(self.runs, example) else None
        # Whether a term or an average looks at the models after each step.
        self._follows = any(x.terms or not isinstance(x.average, NoAverage) for x in self.learners)

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
        self._begin_step()
        batches, forwards = self._batches()
        outputs = self._outputs(batches)
        if self._plain is not None:
            losses = self._plain.of(batches, {name: o.logits for name, o in outputs.items()})
        else:
            losses = run_by_run(forwards, outputs, self._draws)
        losses.totals.sum().backward()
        if self._plain is None:
            self._collect_strays()
        self._optimizer.give_gradients()
        norms = self._optimizer.norms()
        if self._engine.clip_norm is not None:
            self._optimizer.clip(norms, self._engine.clip_norm)
        stats = losses.stats(norms)
        failed = self._failed(losses.finite(norms), stats)
        for number in failed:
            self._optimizer.forget_gradients_of(number)
        self._optimizer.step()
        self._after_step(stats, failed)
        if failed:
            raise RunsFailed(failed)

    def _batches(self) -> tuple[dict[str, Batch], list[StepForward]]:
        """Return the rows of all runs by stream, and the runs' own passes where they are needed."""
        if self._gathered is not None and self._plain is not None:
            return self._gathered.step(), []
        batches = [next(s.run.batches(s.context.seed)) for s in self.spans]
        return joined(batches), [] if self._plain is not None else self._forwards(batches)

    def _outputs(self, batches: Mapping[str, Batch]) -> dict[str, Outputs]:
        """Return stream -> the model's outputs on the rows of all runs."""
        phase = self.runs[0].phase
        fed = {name: batch for name, batch in batches.items() if name in phase.heads}
        if phase.joined and len(fed) > 1:
            return jointly(self._model, fed, phase.heads, len(self.runs))
        return {name: self._model(batch, phase.heads[name]) for name, batch in fed.items()}

    def _begin_step(self) -> None:
        self._optimizer.forget_gradients()
        seeds = []
        for span in self.spans:
            run = span.run
            run.learner.set_lr(run.phase.recipe.schedule(run.state.step, run.phase.num_steps))
            seeds.append(
                partial(seed_everything, span.context.seed, run.phase.name, run.state.step)
            )
        self._optimizer.take_lr()
        self._draws.begin_step(seeds)

    def _forwards(self, batches: Sequence[Mapping[str, Batch]]) -> list[StepForward]:
        found = []
        for span, own in zip(self.spans, batches, strict=True):
            phase = span.run.phase
            progress = span.run.state.step / phase.num_steps
            found.append(StepForward.of(span.run.learner, phase, self._engine, own, progress))
        return found

    def _collect_strays(self) -> None:
        """Add the gradients of terms that looked at a run's own parameters."""
        for shared in self._shared:
            for number, parameter in enumerate(shared.own):
                if parameter.grad is None:
                    continue
                if shared.stacked.grad is None:  # no row went through it
                    shared.stacked.grad = torch.zeros_like(shared.stacked)
                shared.stacked.grad[number] += parameter.grad

    def _failed(self, finite: Tensor, stats: Sequence[StepStats]) -> dict[int, str]:
        """Return of each run whose losses or gradient are not finite what is not, in words."""
        failed: dict[int, str] = {}
        if bool(finite.all()):
            return failed
        for number, (run, each) in enumerate(zip(self.runs, stats, strict=True)):
            if not bool(finite[number]):
                terms = tuple(run.learner.terms)
                what = each.first_not_finite(run.phase.labels, terms, gradients=True)
                failed[number] = what or "the gradient"
        return failed

    def _after_step(self, stats: Sequence[StepStats], failed: Mapping[int, str]) -> None:
        self.rows += stats[0].num_rows
        for number, (span, each) in enumerate(zip(self.spans, stats, strict=True)):
            run = span.run
            if number in failed:
                continue
            if self._follows:
                run.learner.after_step(run.state.step / run.phase.num_steps)
            run.state.step += 1
            run.take_in(each, span.context.recorder)


def _by_options(span: Span) -> Any:
    learner = span.run.learner
    groups = range(len(learner.optimizer.param_groups))
    return repr([sorted(options_of(learner, number).items()) for number in groups])
