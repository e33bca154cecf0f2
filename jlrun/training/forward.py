"""Forward passes of a training step, one for each micro-batch: losses of tasks and terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from jlrun.data.batch import Batch
from jlrun.engine import Engine
from jlrun.errors import UserError, check_shape
from jlrun.models.dividing import dividing
from jlrun.models.joint_model import JointModel, Outputs, encoder_parameters
from jlrun.models.module_state import unchanged_buffers
from jlrun.models.sharing.base import Cut, FeatureSharing
from jlrun.objective.balance.base import Measured, MicroBatchView, StepDone
from jlrun.objective.balance.encoder_gradients import EncoderGradients
from jlrun.objective.labelled_rows import objective_loss
from jlrun.objective.terms.base import StepView
from jlrun.ranks.world import Pending
from jlrun.training.learner import Learner
from jlrun.training.own_rows import DividedCalls, OwnRows
from jlrun.training.plan import Phase
from jlrun.training.timed import timed

MicroBatch = Mapping[str, Batch]


@dataclass(frozen=True)
class CutGraph:
    """Cut in the graph of a micro-batch.

    Attributes:
        fused: ``(B, D)``, the end of the trunk's graph.
        leaves: of the objectives, ``(B, D)`` each: where the graphs of the losses begin.
        own: the rows that both are of.
        num_rows: of the micro-batch, of all ranks.
    """

    fused: Tensor
    leaves: tuple[Tensor, ...]
    own: OwnRows
    num_rows: int


@dataclass(frozen=True)
class MicroBatchLosses:
    """Losses of a micro-batch.  (T objectives, J terms)

    Attributes:
        sums: T scalars, sums over the micro-batch's labelled rows. They are not stacked, so that a
            backward pass can start from each alone.
        factors: ``(T,)``, the objective's scale over the number of labelled rows of the whole step.
        terms: ``(J,)``, R_j.
        penalties: scalar, the micro-batch's share of what is added to the losses: λ Σ_j α_j R_j,
            the penalty of the sharing architecture, and the loss of the balance.
        penalised: whether anything is.
        balance: what the balance of the modalities measured on the micro-batch.
        cut: where the graph was cut; None where it is whole.
        of_all: waits for the sums ``(T,)`` of all ranks, where ``sums`` have the values of this
            rank's rows.
    """

    sums: tuple[Tensor, ...]
    factors: Tensor
    terms: Tensor
    penalties: Tensor
    penalised: bool
    balance: Measured
    cut: CutGraph | None
    of_all: Pending | None = None

    @cached_property
    def values(self) -> Tensor:
        """The losses ``(T,)``: over all micro-batches they add up to the step's losses."""
        return self._stacked * self.factors

    @cached_property
    def singles(self) -> tuple[Tensor, ...]:
        """The same as T scalars, each on a graph of its own."""
        return tuple(s * f for s, f in zip(self.sums, self.factors.unbind(), strict=True))

    @cached_property
    def row_sums(self) -> Tensor:
        """The sums over labelled rows, without scales, detached ``(T,)``."""
        return self._stacked.detach() if self.of_all is None else self.of_all()

    @property
    def values_of_all(self) -> Tensor:
        """The losses ``(T,)`` of the rows of all ranks, detached."""
        return self.row_sums * self.factors

    @cached_property
    def _stacked(self) -> Tensor:
        return torch.stack(self.sums) if self.sums else self.factors.new_zeros(0)

    def with_penalties(self, loss: Tensor) -> Tensor:
        """Return ``loss`` with what is added to it."""
        return loss + self.penalties if self.penalised else loss


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
        shares = _split(batches, num_samples)
        numbered = [
            (i, micro_batch)
            for i, share in enumerate(shares)
            for micro_batch in _split(share, engine.accumulate)
        ]
        counts = _num_labelled(phase, batches)
        known = counts_on(counts, engine.device)
        return cls(
            learner=learner,
            phase=phase,
            engine=engine,
            micro_batches=tuple(micro_batch for _, micro_batch in numbered),
            samples=tuple(i for i, _ in numbered),
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
        with timed("forward"), self.engine.autocast():
            if cut:
                outputs, graph = self._cut(own)
            else:
                outputs, graph = known or self._whole(own), None
            sums, counts = self._sums(own.batches, outputs)
            of_all = None
            if own.divided:
                outputs = own.outputs_of_all(outputs)
                if linear and not self.learner.terms and not self.learner.balance.acts:
                    sums, of_all = own.summed_meanwhile(sums)
                else:
                    sums = own.summed(sums)
                counts = _num_labelled(self.phase, micro_batch)
            calls = DividedCalls(own.world, engine.device, together) if own.divided else None
            with nullcontext() if calls is None else dividing(calls):
                terms = self._terms(micro_batch, outputs, sums, counts)
                balance = self._balance(micro_batch, outputs)
        penalties = self._penalties(terms, own, micro_batch)
        if balance.loss is not None:
            penalties = balance.loss if penalties is None else penalties + balance.loss
        return MicroBatchLosses(
            sums=tuple(sums),
            factors=self._factors,
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

    @cached_property
    def _scales(self) -> Tensor:
        return _scales_on(self._scale_values, self.engine.device)

    @cached_property
    def _scale_values(self) -> tuple[float, ...]:
        ramp = self.phase.recipe.ramp(self.progress)
        return tuple(o.scale * (ramp if o.ramped else 1.0) for o in self.phase.objectives)

    @cached_property
    def _factors(self) -> Tensor:
        balance = self.learner.balance
        if balance.acts:
            return self._scales * balance.task_factor / self.at_least_one
        return _factors_on(self._scale_values, self.counts, self.engine.device)

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
            scales=self._scales,
            counts=self._usable,
            progress=self.progress,
        )
        measured = self.learner.balance.measure(view)
        if not isinstance(measured, Measured):
            name, found = type(self.learner.balance).__name__, type(measured).__name__
            raise UserError.of("balance", f"{name}.measure returned a {found}, not a Measured")
        return measured

    def _whole(self, own: OwnRows) -> dict[str, Outputs]:
        model, heads = self.learner.model, self.phase.heads
        fed = {name: batch for name, batch in own.batches.items() if name in heads}
        if self.phase.joined and len(fed) > 1:
            with own.forward_pass(tuple(fed)):
                return _jointly(model, fed, heads)
        outputs = {}
        for name, batch in fed.items():
            with own.forward_pass((name,)):
                outputs[name] = model(batch, heads[name])
        return outputs

    def _cut(self, own: OwnRows) -> tuple[dict[str, Outputs], CutGraph]:
        ((name, batch),) = own.batches.items()
        model, heads = self.learner.model, self.phase.heads[name]
        body = model.body
        assert isinstance(body, FeatureSharing)
        with own.forward_pass((name,)):
            if len(self.micro_batches) == 1:
                encoded = body.trunk(batch)
            else:
                # The features of all micro-batches are needed before the first backward pass: the
                # trunk's activations are computed once more then, instead of being kept for all.
                encoded = checkpoint(
                    body.trunk,
                    batch,
                    use_reentrant=False,
                    context_fn=lambda: (nullcontext(), _once_more(body.trunk, own, name)),
                )
            cut: Cut = body.cut(encoded.fused, heads)
            outputs = model.outputs(encoded.features, encoded.fused, cut.by_task)
        leaves = tuple(cut.leaves[o.head] for o in self.phase.objectives)
        num_rows = own.of_all[name].size
        return {name: outputs}, CutGraph(encoded.fused, leaves, own, num_rows)

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


@dataclass(frozen=True)
class Counts:
    """Numbers of labelled rows on the device.  (T objectives)

    Attributes:
        rows: ``(T,)`` float32.
        at_least_one: ``(T,)``, the same where it is not 0, and 1 there.
        active: Bool ``(T,)``: where it is not 0.
    """

    rows: Tensor
    at_least_one: Tensor
    active: Tensor


NOT_MEASURED = Measured()


@lru_cache(maxsize=64)  # nearly all steps have as many rows as the one before
def counts_on(rows: tuple[int, ...], device: torch.device) -> Counts:
    """Return numbers of rows on ``device``; nobody may change them."""
    found = torch.tensor(rows, dtype=torch.float32, device=device)
    return Counts(found, found.clamp(min=1), found > 0)


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


def _jointly(
    model: JointModel, batches: Mapping[str, Batch], heads: Mapping[str, Sequence[str]]
) -> dict[str, Outputs]:
    """Pass the batches of several streams through the model as one."""
    inputs = [batch.without_labels() for batch in batches.values()]
    needed = tuple(dict.fromkeys(head for name in batches for head in heads[name]))
    outputs = model(Batch.concatenate(inputs), needed)
    sizes = [batch.size for batch in inputs]

    def pieces(columns: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        split = {name: column.split(sizes) for name, column in columns.items()}
        return [{name: column[i] for name, column in split.items()} for i in range(len(sizes))]

    by_stream = zip(
        batches,
        pieces(outputs.features),
        outputs.fused.split(sizes),
        pieces(outputs.logits),
        pieces(outputs.members),
        strict=True,
    )
    return {
        name: Outputs(
            features,
            fused,
            {head: logits[head] for head in heads[name]},
            {head: members[head] for head in heads[name] if head in members},
        )
        for name, features, fused, logits, members in by_stream
    }


@contextmanager
def _once_more(trunk: nn.Module, own: OwnRows, stream: str) -> Iterator[None]:
    """Return the context in which the trunk computes the features of rows once more."""
    with unchanged_buffers(trunk), own.forward_pass((stream,)):
        yield


def _kept_apart(learner: Learner) -> EncoderGradients:
    balance, model = learner.balance, learner.model
    modalities = balance.modalities if balance.has_encoder_losses else ()
    return EncoderGradients({m: encoder_parameters(model, m) for m in modalities})


def _num_labelled(phase: Phase, batches: Mapping[str, Batch]) -> tuple[int, ...]:
    counts = []
    for objective in phase.objectives:
        batch = batches.get(objective.stream)
        mask = None if batch is None else batch.labelled.get(objective.spec.column)
        rows = 0 if batch is None else batch.size
        counts.append(rows if mask is None else int(mask.sum()))
    return tuple(counts)


def _split(batches: Mapping[str, Batch], count: int) -> tuple[MicroBatch, ...]:
    if count == 1:
        return (batches,)
    chunks = {name: batch.chunks(count) for name, batch in batches.items()}
    longest = max(len(pieces) for pieces in chunks.values())
    return tuple(
        {name: pieces[i] for name, pieces in chunks.items() if i < len(pieces)}
        for i in range(longest)
    )
