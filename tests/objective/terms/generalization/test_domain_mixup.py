"""domain_mixup against its definition in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.distributions import Beta
from torch.nn import functional as F

from jlrun.data.batch import Batch
from jlrun.data.rows import TensorRows
from jlrun.data.specs import TabularSpec, TextSpec
from jlrun.data.streams import Stream
from jlrun.errors import UserError
from jlrun.objective.terms.base import PhaseStart
from jlrun.objective.terms.generalization import DomainMixup
from jlrun.objective.terms.generalization.domain_mixup import mix, mixed_loss
from jlrun.tasks import Multiclass
from tests.objective.terms.generalization.sources import source_batch, source_model, source_view
from tests.toy import CPU

MODEL = source_model()
SIZES = {"a": 4, "b": 7, "c": 5}


def by_hand(batches: dict[str, Batch], seed: int, alpha: float = 0.2) -> Tensor:
    """Return the mean over pairs, with the term's own draws."""
    torch.manual_seed(seed)
    names = [list(batches)[i] for i in torch.randperm(len(batches))]
    share = Beta(alpha, alpha).sample().item()
    total = torch.zeros((), dtype=torch.float64)
    for i, name in enumerate(names):
        one, two = batches[name], batches[names[(i + 1) % len(names)]]
        n = min(one.size, two.size)
        x = share * one.inputs["image"][:n] + (1 - share) * two.inputs["image"][:n]
        z = MODEL(Batch({"image": x})).logits["digit"]
        losses = [F.cross_entropy(z, b.targets["digit"][:n]) for b in (one, two)]
        total = total + (share * losses[0] + (1 - share) * losses[1]) / len(names)
    return total


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("names", ["ab", "abc"])
def test_the_loss_of_rows_between_two_sources(names: str, seed: int) -> None:
    batches = {name: source_batch(SIZES[name], SIZES[name]) for name in names}
    expected = by_hand(batches, seed)
    view = source_view(MODEL, batches)
    torch.manual_seed(seed)
    found = DomainMixup()(view)
    torch.testing.assert_close(found, expected)
    grads = [torch.autograd.grad(x, list(MODEL.body.parameters())) for x in (found, expected)]
    torch.testing.assert_close(grads[0], grads[1])


def test_shares_follow_alpha() -> None:
    def shares(alpha: float) -> Tensor:
        torch.manual_seed(0)
        return torch.stack([Beta(alpha, alpha).sample() for _ in range(200)])

    assert (shares(0.2) - 0.5).abs().mean() > (shares(50.0) - 0.5).abs().mean()
    batches = {name: source_batch(4, i) for i, name in enumerate("ab")}
    even = source_view(MODEL, batches)
    values = [DomainMixup(alpha=1e6)(even) for _ in range(3)]  # λ = ½
    torch.testing.assert_close(values[0], values[1], rtol=1e-2, atol=0)
    torch.testing.assert_close(values[0], values[2], rtol=1e-2, atol=0)


def test_rows_with_other_modalities_are_not_mixed() -> None:
    first = replace(source_batch(3, 1), present={"image": torch.tensor([True, True, False])})
    second = replace(source_batch(3, 2), present={"image": torch.tensor([True, False, False])})
    mixed, weight = mix(first, second, 0.25)
    assert weight.tolist() == [0.25, 1.0, 0.25]
    expected = first.inputs["image"].clone()
    for row in (0, 2):
        expected[row] = 0.25 * first.inputs["image"][row] + 0.75 * second.inputs["image"][row]
    torch.testing.assert_close(mixed.inputs["image"], expected)
    # a side without a mask has the modality everywhere
    assert mix(first, source_batch(3, 2), 0.25)[1].tolist() == [0.25, 0.25, 1.0]


def test_tokens_stay_those_of_the_first_row() -> None:
    first, second = (
        replace(b, inputs={**b.inputs, "text": torch.full((3, 2), i)})
        for i, b in enumerate((source_batch(3, 1), source_batch(3, 2)))
    )
    assert mix(first, second, 0.5)[0].inputs["text"].tolist() == [[0, 0]] * 3


def test_categories_are_not_averaged() -> None:
    spec = TabularSpec(("a",), (0.0,), (1.0,), ("k",), (("x", "y", "z"),))
    first, second = (
        Batch({"tabular": torch.ones(50, 2)}),
        Batch({"tabular": torch.full((50, 2), 3)}),
    )
    second = replace(second, inputs={"tabular": second.inputs["tabular"].float()})
    mixed, _ = mix(first, second, 0.5, {"tabular": spec})
    assert mixed.inputs["tabular"][:, 0].unique().tolist() == [2.0]
    assert mixed.inputs["tabular"][:, 1].unique().tolist() == [1.0, 3.0]


def test_only_rows_labelled_in_both_count() -> None:
    first, second = source_batch(3, 1), source_batch(3, 2)
    ends = (
        (replace(first, labelled={"digit": torch.tensor([True, True, False])}), "digit"),
        (replace(second, labelled={"digit": torch.tensor([False, True, True])}), "digit"),
    )
    logits, weight = MODEL(first).logits["digit"], torch.full((3,), 0.3).double()
    found = mixed_loss(Multiclass(), logits, ends, weight)
    losses = [F.cross_entropy(logits[1], b.targets["digit"][1]) for b in (first, second)]
    torch.testing.assert_close(found, 0.3 * losses[0] + 0.7 * losses[1])
    none = tuple((replace(b, labelled={"digit": torch.zeros(3).bool()}), c) for b, c in ends)
    assert mixed_loss(Multiclass(), logits, none, weight) == 0


def test_one_source_has_nothing_to_be_mixed_with() -> None:
    batches = {"a": source_batch(3, 1), "target": replace(source_batch(3, 2), targets={})}
    assert DomainMixup()(source_view(MODEL, batches)) == 0


def test_sources_with_different_tasks_share_the_heads_they_have_in_common() -> None:
    view = source_view(MODEL, {name: source_batch(3, i) for i, name in enumerate("ab")})
    apart = replace(view, columns={"a": {"digit": "digit"}, "b": {"even": "even"}})
    assert DomainMixup()(apart) == 0


def test_text_alone_is_refused() -> None:
    rows = TensorRows({"text": torch.zeros(4, 2).long()}, {"digit": torch.zeros(4).long()})
    spec = TextSpec(("one",), 2)
    streams = {
        name: Stream(
            name,
            rows,
            specs={"text": spec},
            batch_size=2,
            seed=0,
            device=CPU,
            memory_budget=10**6,
        )
        for name in "ab"
    }
    start = PhaseStart(MODEL, {}, {"a": ("digit",), "b": ("digit",)}, streams, 1)
    with pytest.raises(UserError, match=r"terms\.domain_mixup: the inputs \(text\) are tokens"):
        DomainMixup().begin_phase(start)
