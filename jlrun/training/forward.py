"""Forward passes of a training step, one for each micro-batch: losses of tasks and terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import chain

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.engine import Engine
from jlrun.errors import UserError, check_shape
from jlrun.models.dividing import dividing
from jlrun.models.joint_model import Outputs, encoder_parameters
from jlrun.models.module_state import unchanged_buffers
from jlrun.objective.balance.base import Measured, MicroBatchView, StepDone
from jlrun.objective.balance.encoder_gradients import EncoderGradients
from jlrun.objective.labelled_rows import objective_loss
from jlrun.objective.terms.base import StepView
from jlrun.training.learner import Learner
from jlrun.training.micro_batch_losses import MicroBatchLosses
from jlrun.training.micro_batches import MicroBatch, count_labelled, counts_on, split
from jlrun.training.model_outputs import ModelPass
from jlrun.training.own_rows import DividedCalls, OwnRows
from jlrun.training.plan import Phase
from jlrun.training.timed import timed


@dataclass(frozen=True)
class StepForward:
    """The forward passes of one training step.

    Attributes:
        learner, phase, engine: what is trained and how.
        micro_batches: of the step's batches, in order.
        samples: of each micro-batch, the equal share of the step's rows that it belongs to, from 0.
        counts: T numbers, labelled rows of the whole step.
        num_labelled: ``(T,)``, the same on the device.
        at_least_one: ``(T,)``, the same where it is not 0, and 1 there.
        active: Bool ``(T,)``: where it is not 0.
        num_rows: of the whole step, all streams.
        progress: share of the phase's steps that are done.
        apart: gradients that the balance keeps separate, filled by the backward passes.
    """

    learner: Learner
    phase: Phase
    engine: Engine
    micro_batches: tuple[MicroBatch, ...]
    samples: tuple[int, ...]
    counts: tuple[int, ...]
    num_labelled: Tensor
    at_least_one: Tensor
    active: Tensor
    num_rows: int
    progress: float
    apart: EncoderGradients = field(default_factory=EncoderGradients)

    @classmethod
    def of(
        cls,
        learner: Learner,
        phase: Phase,
        engine: Engine,
        batches: Mapping[str, Batch],
        progress: float,
        num_samples: int = 1,
    ) -> StepForward:
        """Return the passes over ``batches``: ``num_samples`` equal shares of the rows, each in
        ``engine.accumulate`` micro-batches; fewer if rows are few."""
        shares = split(batches, num_samples)
        each = [split(share, engine.accumulate) for share in shares]
        counts = count_labelled(phase, batches)
        known = counts_on(counts, engine.device)
        return cls(
            learner=learner,
            phase=phase,
            engine=engine,
            micro_batches=tuple(chain.from_iterable(each)),
            samples=tuple(i for i, parts in enumerate(each) for _ in parts),
            counts=counts,
            num_labelled=known.rows,
            at_least_one=known.at_least_one,
            active=known.active,
            num_rows=sum(batch.size for batch in batches.values()),
            progress=progress,
            apart=_kept_apart(learner),
        )

    def share(self, micro_batch: MicroBatch) -> float:
        """Return the share of the step's rows that ``micro_batch`` has."""
        return sum(batch.size for batch in micro_batch.values()) / self.num_rows

    def run(
        self,
        micro_batch: MicroBatch,
        cut: bool = False,
        known: Mapping[str, Outputs] | None = None,
        linear: bool = False,
    ) -> MicroBatchLosses:
        """Return the losses of a micro-batch.

        Args:
            micro_batch: one of ``micro_batches``.
            known: stream -> the model's outputs, where they have been computed.
            cut: cut the graph at the fused features. Then the micro-batch has one stream, and the
                body is a `FeatureSharing`.
            linear: whether what is made of the losses is linear in them: nobody then waits for
                those of other ranks.
        """
        engine = self.engine
        together = engine.sync_batchnorm
        own = OwnRows.of(
            micro_batch, engine.world, engine.device, self.learner.normalises, together
        )
        model_pass = ModelPass(self.learner.model, self.phase)
        with timed("forward"), engine.autocast():
            if cut:
                outputs, graph = model_pass.cut(own, once=len(self.micro_batches) == 1)
            else:
                outputs, graph = known or model_pass.whole(own), None
            sums, counts = self._sums(own.batches, outputs)
            of_all = None
            if own.divided:
                outputs = own.outputs_of_all(outputs)
                if linear and not self.learner.terms and not self.learner.balance.acts:
                    sums, of_all = own.summed_meanwhile(sums)
                else:
                    sums = own.summed(sums)
                counts = count_labelled(self.phase, micro_batch)
            calls = DividedCalls(own.world, engine.device, together) if own.divided else None
            with nullcontext() if calls is None else dividing(calls):
                terms = self._terms(micro_batch, outputs, sums, counts)
                balance = self._balance(micro_batch, outputs)
        penalties = self._penalties(terms, own, micro_batch)
        if balance.loss is not None:
            penalties = balance.loss if penalties is None else penalties + balance.loss
        return MicroBatchLosses(
            sums=tuple(sums),
            factors=self._factors(),
            terms=terms,
            penalties=_nothing(self.engine.device)[0] if penalties is None else penalties,
            penalised=penalties is not None,
            balance=balance,
            cut=graph,
            of_all=of_all,
        )

    def values_now(self) -> Tensor:
        """Return the step's losses ``(T,)`` under the parameters as they are now.

        Without a graph; running statistics stay what they were.
        """
        with torch.no_grad(), unchanged_buffers(self.learner.model):
            values = [self.run(micro_batch).values for micro_batch in self.micro_batches]
            return torch.stack(values).sum(dim=0)

    def done(self, micro_batches: Sequence[MicroBatchLosses]) -> StepDone:
        """Return the step for the balance, after all backward passes."""
        each = [losses.balance.seen for losses in micro_batches]
        names = dict.fromkeys(name for seen in each for name in seen)
        sums = {n: torch.stack([seen[n] for seen in each if n in seen]).sum(dim=0) for n in names}
        return StepDone(
            model=self.learner.model,
            seen=sums,
            counts=self._usable,
            encoder_gradients=self.apart.gradients(),
            scale=self.learner.loss_scale,
            progress=self.progress,
        )

    def _scales(self) -> Tensor:
        return _scales_on(self._scale_values(), self.engine.device)

    def _scale_values(self) -> tuple[float, ...]:
        ramp = self.phase.recipe.ramp(self.progress)
        return tuple(o.scale * (ramp if o.ramped else 1.0) for o in self.phase.objectives)

    def _factors(self) -> Tensor:
        balance = self.learner.balance
        if balance.acts:
            return self._scales() * balance.task_factor / self.at_least_one
        return _factors_on(self._scale_values(), self.counts, self.engine.device)

    @cached_property
    def _usable(self) -> Tensor:
        counts = [self.learner.balance.count(micro_batch) for micro_batch in self.micro_batches]
        return torch.stack(counts).sum(dim=0)

    def _balance(self, micro_batch: MicroBatch, outputs: Mapping[str, Outputs]) -> Measured:
        if not self.learner.balance.acts:
            return NOT_MEASURED
        view = MicroBatchView(
            model=self.learner.model,
            batches=micro_batch,
            outputs=outputs,
            heads=self.phase.heads,
            scales=self._scales(),
            counts=self._usable,
            progress=self.progress,
        )
        measured = self.learner.balance.measure(view)
        if not isinstance(measured, Measured):
            name, found = type(self.learner.balance).__name__, type(measured).__name__
            raise UserError.of("balance", f"{name}.measure returned a {found}, not a Measured")
        return measured

    def _sums(
        self, micro_batch: MicroBatch, outputs: Mapping[str, Outputs]
    ) -> tuple[list[Tensor], tuple[int, ...]]:
        sums, counts = [], []
        for objective in self.phase.objectives:
            if objective.stream not in micro_batch:
                loss, count = _nothing(self.engine.device)[0], 0
            else:
                found, head = outputs[objective.stream], objective.head
                logits = found.members.get(head, found.logits[head])
                loss, count = objective_loss(objective, logits, micro_batch[objective.stream])
            sums.append(loss)
            counts.append(count)
        return sums, tuple(counts)

    def _terms(
        self,
        micro_batch: MicroBatch,
        outputs: Mapping[str, Outputs],
        sums: Sequence[Tensor],
        counts: Sequence[int],
    ) -> Tensor:
        if not self.learner.terms:
            return _nothing(self.engine.device)[1]
        objectives = self.phase.objectives
        view = StepView(
            model=self.learner.model,
            batches=dict(micro_batch),
            outputs=outputs,
            progress=self.progress,
            tasks={head: spec.task for head, spec in self.phase.specs.items()},
            columns={
                name: {o.head: o.spec.column for o in objectives if o.stream == name}
                for name in micro_batch
            },
            losses={
                o.label: total / max(count, 1)
                for o, total, count in zip(objectives, sums, counts, strict=True)
                if o.stream in micro_batch
            },
        )
        values = {name: term(view) for name, term in self.learner.terms.items()}
        for name, value in values.items():
            check_shape(f"terms.{name}", self.learner.terms[name], value, ())
        return torch.stack([value.float() for value in values.values()])

    def _penalties(self, terms: Tensor, own: OwnRows, micro_batch: MicroBatch) -> Tensor | None:
        sharing = self.learner.model.body.penalty()
        if sharing is not None and own.divided:
            (sharing,) = own.summed([sharing * own.share()])
        if not self.learner.terms:
            return None if sharing is None else sharing * self.share(micro_batch)
        alphas = [float(term.weight) for term in self.learner.terms.values()]  # pyright: ignore
        recipe = self.phase.recipe
        strength = recipe.term_scale * recipe.ramp(self.progress)
        weighted = strength * (terms * terms.new_tensor(alphas)).sum()
        weighted = weighted if sharing is None else weighted + sharing
        return weighted * self.share(micro_batch)


NOT_MEASURED = Measured()


@lru_cache(maxsize=64)
def _scales_on(scales: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(scales, dtype=torch.float32, device=device)


@lru_cache(maxsize=64)
def _factors_on(scales: tuple[float, ...], counts: tuple[int, ...], device: torch.device) -> Tensor:
    return _scales_on(scales, device) / counts_on(counts, device).at_least_one


@lru_cache(maxsize=64)
def _nothing(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return 0 and no numbers, on ``device``."""
    return torch.zeros((), device=device), torch.zeros(0, device=device)


def _kept_apart(learner: Learner) -> EncoderGradients:
    balance, model = learner.balance, learner.model
    modalities = balance.modalities if balance.has_encoder_losses else ()
    return EncoderGradients({m: encoder_parameters(model, m) for m in modalities})
