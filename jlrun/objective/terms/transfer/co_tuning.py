"""Co-Tuning: trains the source's head on its relationship to the target's classes."""

# C_s, C_t source and target classes; p(s | t) how often the target class t looks like s

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from jlrun.data.batch import Batch
from jlrun.errors import UserError
from jlrun.objective.terms.base import TARGET, PhaseStart, StepView, Term, precise, total
from jlrun.objective.terms.transfer.frozen import FrozenModel, own_source_heads
from jlrun.ranges import NonNegativeFloat, PositiveFloat
from jlrun.tasks import Binary, Multiclass, Task
from jlrun.tasks.classification import class_log_probabilities


class CoTuning(Term):
    """R = Σ_pairs mean_rows −Σ_s p(s | y) log p_s(x): the source's head learns y as p(s | y).

    The pairs are those of a source's own head and a labelled target task, both with exclusive
    classes. p(s | t) is the mean of the source head's predictions, with the weights of the phase's
    start, over the target's training rows of class t, without augmentation. You et al., "Co-Tuning
    for Transfer Learning", NeurIPS 2020, with its direct estimate of the relationship. Differs from
    it in: the temperature that calibrates the source's predictions is given, not fitted to held-out
    rows of the source, which the phase doesn't have.

    Args:
        weight: strength of the term (the paper's λ).
        temperature: logits are divided by it for p(s | t): above 1 if the source's model is too
            certain.
    """

    needs = "learned weights"

    def __init__(self, weight: NonNegativeFloat = 1.0, temperature: PositiveFloat = 1.0) -> None:
        super().__init__()
        self.weight = weight
        self.temperature = temperature

    def begin_phase(self, start: PhaseStart) -> None:
        """Measure p(s | t).

        Raises:
            UserError: if the target has no task with classes, or no source has its own head with
                classes.
        """
        sources = [h for h in own_source_heads(start) if _has_classes(start.tasks[h].task)]
        targets = [
            head
            for head in start.observed.get(TARGET, ())
            if head not in own_source_heads(start) and _has_classes(start.tasks[head].task)
        ]
        if TARGET in start.observed and not (sources and targets):
            raise UserError.of(
                "terms.co_tuning",
                "there is no pair of a source's own head and a target task that both have "
                f"exclusive classes (found: {', '.join(start.observed[TARGET])}). Where source and "
                "target share a head, use l2_sp, delta or lwf",
            )
        with torch.no_grad():
            for target in targets:
                for source, relation in self._relations(start, sources, target).items():
                    self.register_buffer(_key(source, target), relation)

    def _relations(self, start: PhaseStart, sources: list[str], target: str) -> dict[str, Tensor]:
        """Return source head -> p(s | t), ``(C_t, C_s)``, on the target's training rows."""
        model, like = FrozenModel(start.model), next(start.model.parameters())
        size = _num_classes(start, target)
        sums = {s: like.new_zeros(size, _num_classes(start, s)) for s in sources}
        counts = like.new_zeros(size)
        for batch, labels in _labelled_batches(start, target):
            logits = model(batch, sources).logits
            counts.index_add_(0, labels, torch.ones_like(labels, dtype=counts.dtype))
            for source, sum_ in sums.items():
                z = logits[source] / self.temperature
                p = class_log_probabilities(start.tasks[source].task, z).exp()
                sum_.index_add_(0, labels, p.to(sum_))
        return {source: _normalised(sum_, counts) for source, sum_ in sums.items()}

    def forward(self, view: StepView) -> Tensor:
        losses = self._losses(view) if TARGET in view.outputs else ()
        return precise(total(losses, view))

    def _losses(self, view: StepView) -> Iterator[Tensor]:
        for target, column in view.columns.get(TARGET, {}).items():
            for source, logits in view.outputs[TARGET].logits.items():
                relation = getattr(self, _key(source, target), None)
                if relation is not None:
                    log_p = class_log_probabilities(view.tasks[source], logits)
                    yield _cross_entropy(log_p, relation, view.batches[TARGET], column)


def _cross_entropy(log_p: Tensor, relation: Tensor, batch: Batch, column: str) -> Tensor:
    """Return the mean over labelled rows of −Σ_s p(s | y) log p_s; 0 without any."""
    labelled = batch.labelled.get(column, slice(None))
    y, log_p = batch.targets[column][labelled], log_p[labelled]
    wanted = relation.to(log_p)[y]
    if batch.mix_weight is not None and column in batch.mixed_targets:
        weight = batch.mix_weight[labelled]
        # A row that nothing was mixed with has a partner without a label, whose target is a
        # placeholder.
        other = torch.where(weight < 1, batch.mixed_targets[column][labelled], y)
        wanted = torch.lerp(relation.to(log_p)[other], wanted, weight.to(log_p)[:, None])
    return -(wanted * log_p).sum() / max(len(y), 1)


def _labelled_batches(start: PhaseStart, head: str) -> Iterator[tuple[Batch, Tensor]]:
    """Yield the labelled training rows of a task, with their labels ``(B,)``."""
    column = start.tasks[head].column
    for batch in start.streams[TARGET].sweep():
        if column in batch.targets:
            rows = batch
            if column in batch.labelled:
                rows = batch.select(batch.labelled[column].nonzero().flatten())
            if rows.size:
                yield rows, rows.targets[column]


def _normalised(sums: Tensor, counts: Tensor) -> Tensor:
    """Return means; those of a class without rows are over all rows, or equal for all classes."""
    overall = sums.sum(dim=0) if counts.any() else torch.ones_like(sums[0])
    means = sums / counts.clamp(min=1)[:, None]
    return torch.where(counts[:, None] > 0, means, overall / overall.sum())


def _has_classes(task: Task) -> bool:
    return isinstance(task, Multiclass | Binary)


def _num_classes(start: PhaseStart, head: str) -> int:
    spec = start.tasks[head]
    return 2 if isinstance(spec.task, Binary) else len(spec.classes)


def _key(source: str, target: str) -> str:
    return f"{source} given {target}"
