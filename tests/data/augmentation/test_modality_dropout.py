"""Rows that lose modalities: how often, never all, and nothing else about them changes."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from jlrun.data.augmentation.modality_dropout import ModalityDropout, presence, what_is_left
from jlrun.data.batch import Batch

ROWS = 20_000
MODALITIES = ("image", "audio", "text")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(count: int = ROWS, present: dict[str, Tensor] | None = None) -> Batch:
    inputs = {m: torch.randn(count, 2, generator=generator()) for m in MODALITIES}
    return Batch(inputs, {"y": torch.arange(count)}, present or {})


def absent(found: Batch) -> Tensor:
    return 1 - presence(found, MODALITIES).float().mean(dim=0)


@pytest.mark.parametrize("rates", [(0.2, 0.2, 0.2), (0.9, 0.9, 0.9), (0.6, 0.3, 0.0)])
def test_each_modality_is_lost_at_its_rate_less_its_part_in_rows_that_keep_one(
    rates: tuple[float, ...],
) -> None:
    p = torch.tensor(rates)
    found = ModalityDropout(dict(zip(MODALITIES, rates, strict=True)))(batch(), generator())
    expected = p - p.prod() / 3
    error = 4 * (expected * (1 - expected) / ROWS).sqrt()
    assert ((absent(found) - expected).abs() <= error).all()
    assert presence(found, MODALITIES).any(dim=1).all()


def test_rows_keep_the_only_modality_that_they_have() -> None:
    only_audio = torch.arange(ROWS) % 2 == 0
    none = torch.arange(ROWS) % 5 == 0
    present = {"image": ~only_audio & ~none, "audio": ~none, "text": ~only_audio & ~none}
    whole = batch(present=present)
    left = presence(ModalityDropout(dict.fromkeys(MODALITIES, 0.9))(whole, generator()), MODALITIES)
    had = presence(whole, MODALITIES)
    assert left[only_audio & ~none].equal(had[only_audio & ~none])
    assert not (left & ~had).any()
    assert left.any(dim=1).equal(had.any(dim=1))


def test_rows_that_would_lose_all_keep_any_of_theirs_equally_often() -> None:
    rates = torch.tensor([0.9, 0.5, 0.8])
    has = torch.ones(ROWS, 3, dtype=torch.bool)
    drawn = torch.rand(ROWS, 3, generator=generator()) * rates  # all are below
    kept = what_is_left(has, rates, drawn)
    assert (kept.sum(dim=1) == 1).all()
    assert kept.float().mean(dim=0).tolist() == pytest.approx([1 / 3] * 3, abs=0.015)


def test_what_is_kept_at_a_high_rate_is_kept_at_lower_ones() -> None:
    has = torch.ones(ROWS, 3, dtype=torch.bool)
    drawn = torch.rand(ROWS, 3, generator=generator())
    left = [what_is_left(has, torch.full((3,), rate), drawn) for rate in (0.0, 0.3, 0.5, 0.9)]
    assert left[0].all()
    for more, less in pairwise(left):
        assert not (less & ~more).any()


def test_only_presence_changes_and_the_generator_decides() -> None:
    dropout, whole = ModalityDropout({"image": 0.5, "text": 0.5}), batch(64)
    found = dropout(whole, generator(1))
    for field in fields(Batch):
        if field.name != "present":
            assert getattr(found, field.name) is getattr(whole, field.name)
    assert set(found.present) == {"image", "text"}
    again, other = dropout(whole, generator(1)), dropout(whole, generator(2))
    assert presence(found, MODALITIES).equal(presence(again, MODALITIES))
    assert not presence(found, MODALITIES).equal(presence(other, MODALITIES))


def test_without_rates_or_with_one_modality_nothing_happens() -> None:
    whole = batch(8)
    assert ModalityDropout()(whole, generator()) is whole
    alone = Batch({"image": torch.zeros(8, 2)})
    assert ModalityDropout({"image": 0.9})(alone, generator()) is alone
