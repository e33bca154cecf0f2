"""Ways in which rows lack modalities: only a subset is there, or each is lost at some rate."""

# N rows of a split, B of a batch, M modalities

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import torch
from torch import Tensor

from jlrun.data.augmentation.modality_dropout import what_is_left
from jlrun.seeding import derive_seed

MOST_MODALITIES = 4  # of which every subset is scored

Subset = tuple[str, ...]
# What rows have, Bool (B, M), and where they stand in the split -> what they have left.
Scenario = Callable[[Tensor, slice], Tensor]


def subsets(modalities: Sequence[str]) -> list[Subset]:
    """Return the subsets that are scored, the smallest first and all modalities last.

    Every one that is not empty; of more than four modalities only each alone, and all but each.
    """
    count = len(modalities)
    sizes = range(1, count + 1) if count <= MOST_MODALITIES else (1, count - 1, count)
    return [subset for size in sizes for subset in combinations(modalities, size)]


def subset_name(subset: Subset) -> str:
    """Return what a subset is called in records: ``image+text``."""
    return "+".join(subset)


def only(subset: Subset, modalities: Sequence[str]) -> Scenario:
    """Return the scenario in which rows have no modality outside of ``subset``."""
    mask = torch.tensor([name in subset for name in modalities])
    return lambda has, rows: has & mask.to(has.device)


def at_rate(rate: float, seed: int, num_rows: int, modalities: Sequence[str]) -> Scenario:
    """Return the scenario in which rows lose each modality at ``rate``, but never all.

    What a row of the split loses depends on seed, rate and the row's position alone. Of one seed,
    rows lose more at higher rates, and nothing that they keep at these.

    Args:
        rate: in [0, 1).
        seed: of the draws.
        num_rows: N.
        modalities: in their order.
    """
    generator = torch.Generator().manual_seed(derive_seed("missing", seed))
    drawn = torch.rand(num_rows, len(modalities), generator=generator)
    rates = torch.full((len(modalities),), rate)

    def scenario(has: Tensor, rows: slice) -> Tensor:
        return what_is_left(has, rates.to(has.device), drawn[rows].to(has.device))

    return scenario
