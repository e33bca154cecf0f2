"""Mixup between rows of two sources."""

# x_i, x_j inputs of two sources, λ share of the first

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.distributions import Beta

from jlrun.data.augmentation.mixing import average
from jlrun.data.batch import Batch
from jlrun.data.specs import NO_SPECS, Spec
from jlrun.errors import UserError
from jlrun.objective.terms.base import PhaseStart, StepView, Term, precise, total
from jlrun.ranges import NonNegativeFloat, PositiveFloat
from jlrun.tasks import Task


class DomainMixup(Term):
    """R = mean over pairs of sources of the loss on λ x_i + (1 − λ) x_j, λ ~ Beta(α, α).

    The loss is λ ℓ(·, y_i) + (1 − λ) ℓ(·, y_j), a sum over the heads that both sources are labelled
    for. Mixup (Zhang et al., ICLR 2018) between domains, as in DomainBed (Gulrajani & Lopez-Paz,
    2021): the sources stand in a random circle and each is mixed with the next, with one λ for all
    rows. Differs from it in: it is added to the losses on the rows themselves and does not replace
    them. It takes a forward pass for each source. Text has no average and stays that of x_i, tables
    are mixed as by `jlrun.data.augmentation.mixing.average`; rows that differ in their modalities
    are not mixed.

    Args:
        weight: strength of the term.
        alpha: α; the smaller, the more often λ is near 0 or 1.
    """

    needs = "several sources"

    def __init__(self, weight: NonNegativeFloat = 1.0, alpha: PositiveFloat = 0.2) -> None:
        super().__init__()
        self.weight = weight
        self.alpha = alpha
        self._specs: Mapping[str, Spec] = NO_SPECS

    def begin_phase(self, start: PhaseStart) -> None:
        """Check that there is something to mix.

        Raises:
            UserError: if the first source has nothing but text.
        """
        first = next(start.streams[name] for name in start.sources)
        self._specs = first.specs
        inputs = next(iter(first.sweep(batch_size=1))).inputs
        if not any(x.is_floating_point() for x in inputs.values()):
            raise UserError.of(
                "terms.domain_mixup",
                f"the inputs ({', '.join(inputs)}) are tokens, which have no average; leave it out",
            )

    def forward(self, view: StepView) -> Tensor:
        sources = [name for name in view.sources if view.columns.get(name)]
        if len(sources) < 2:
            return precise(total((), view))
        order = [sources[i] for i in torch.randperm(len(sources)).tolist()]
        share = float(Beta(self.alpha, self.alpha).sample())
        pairs = zip(order, order[1:] + order[:1], strict=True)
        losses = [
            loss for one, two in pairs for loss in _losses(view, one, two, share, self._specs)
        ]
        return precise(total(losses, view)) / len(sources)


def _losses(
    view: StepView, one: str, two: str, share: float, specs: Mapping[str, Spec]
) -> Iterator[Tensor]:
    """Yield the mean loss of each head that both sources are labelled for."""
    columns = {h: c for h, c in view.labelled_sources.items() if one in c and two in c}
    if not columns:
        return
    batches = view.batches[one], view.batches[two]
    size = min(batch.size for batch in batches)
    first, second = (batch.select(torch.arange(size)) for batch in batches)
    mixed, weight = mix(first, second, share, specs)
    logits = view.model(mixed, tuple(columns)).logits
    for head, column in columns.items():
        ends = (first, column[one]), (second, column[two])
        yield mixed_loss(view.tasks[head], logits[head], ends, weight)


def mix(
    first: Batch, second: Batch, share: float, specs: Mapping[str, Spec] = NO_SPECS
) -> tuple[Batch, Tensor]:
    """Return the rows of ``first`` mixed with those of ``second``, and the share of the former.

    The share is ``(B,)``: 1 where the modalities of two rows differ.
    """
    like = next(x for x in first.inputs.values() if x.is_floating_point())
    weight = torch.full((first.size,), share, dtype=like.dtype, device=like.device)
    for modality in first.present.keys() | second.present.keys():
        ones = torch.ones_like(weight, dtype=torch.bool)
        same = first.present.get(modality, ones) == second.present.get(modality, ones)
        weight = torch.where(same, weight, 1.0)
    inputs = {
        m: average(x, second.inputs[m], weight, specs.get(m)) for m, x in first.inputs.items()
    }
    return Batch(inputs=inputs, present=first.present), weight


def mixed_loss(
    task: Task, logits: Tensor, ends: tuple[tuple[Batch, str], ...], weight: Tensor
) -> Tensor:
    """Return the mean of λ ℓ(·, y_i) + (1 − λ) ℓ(·, y_j) over rows labelled in both; 0 without any.

    Args:
        task: what is learned.
        logits: of the mixed rows, ``(B, outputs)``.
        ends: the two batches that were mixed, with the names of their targets.
        weight: λ of each row, ``(B,)``.
    """
    rows = torch.ones_like(weight, dtype=torch.bool)
    for batch, column in ends:
        rows = rows & batch.labelled.get(column, rows)
    z, share = precise(logits)[rows], weight[rows]
    one, two = (task.loss(z, batch.targets[column][rows]) for batch, column in ends)
    return (share * one + (1 - share) * two).sum() / max(len(z), 1)
