"""irm and vrex against their definitions in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from jlrun.data.batch import Batch
from jlrun.objective.labelled_rows import row_losses
from jlrun.objective.terms.base import Term
from jlrun.objective.terms.generalization import IRM, VREx
from jlrun.objective.terms.generalization.irm import scale_slopes
from jlrun.tasks import Binary, Multiclass
from tests.objective.terms.generalization.sources import (
    risk,
    source_batch,
    source_model,
    source_view,
)

each = pytest.mark.parametrize("kind", [IRM, VREx])
SIZES = {"a": 4, "b": 7, "c": 5}


def slope(rows: Batch) -> Tensor:
    """Return ∂R/∂w at w = 1 by autograd through a dummy scale, as the paper's code does."""
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(risk(MODEL, rows, scale), scale, create_graph=True)[0]


MODEL = source_model()


def gradients(value: Tensor) -> list[Tensor]:
    return list(
        torch.autograd.grad(
            value, list(MODEL.parameters()), materialize_grads=True, allow_unused=True
        )
    )


@pytest.mark.parametrize("unbiased", [True, False])
def test_irm_is_the_squared_derivative_of_a_dummy_scale(unbiased: bool) -> None:
    view = source_view(MODEL)
    expected = torch.zeros((), dtype=torch.float64)
    for batch in view.batches.values():
        if unbiased:
            odd, even = (batch.select(torch.arange(i, batch.size, 2)) for i in (0, 1))
            expected = expected + slope(odd) * slope(even) / 3
        else:
            expected = expected + slope(batch).square() / 3
    found = IRM(penalty_weight=1.0, unbiased=unbiased)(view)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(found), gradients(expected))


def test_the_slope_of_a_row_in_closed_form() -> None:
    # ∂/∂w of −log softmax(w z)_y at 1 is Σ p_c z_c − z_y, and of a coin (σ(z) − y) z
    batch = source_batch(6, 1)
    z = MODEL(batch).logits
    p = z["digit"].softmax(dim=1)
    y = batch.targets["digit"]
    expected = (p * z["digit"]).sum(dim=1) - z["digit"].gather(1, y[:, None])[:, 0]
    torch.testing.assert_close(scale_slopes(Multiclass(), z["digit"], batch, "digit"), expected)
    coin, even = z["even"][:, 0], batch.targets["even"]
    found = scale_slopes(Binary(), z["even"], batch, "even")
    torch.testing.assert_close(found, (coin.sigmoid() - even) * coin)


def test_irm_is_zero_where_the_scale_is_best_for_every_source() -> None:
    # logits that are the log-odds of the labels' own shares
    batch = replace(source_batch(8, 0), targets={"digit": torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])})
    logits = torch.tensor([0.5, 0.25, 0.25]).double().log().expand(8, 3)
    slopes = scale_slopes(Multiclass(), logits, batch, "digit")
    torch.testing.assert_close(slopes.mean(), torch.zeros(()).double())


def test_the_unbiased_estimate_has_the_square_as_its_mean() -> None:
    # over all orders of four rows, the mean product of the halves' slopes is the mean product of
    # two different rows' slopes
    batch = source_batch(4, 4)
    rows = scale_slopes(Multiclass(), MODEL(batch).logits["digit"], batch, "digit")
    orders = [
        [i, j, k, m]
        for i in range(4)
        for j in range(4)
        for k in range(4)
        for m in range(4)
        if len({i, j, k, m}) == 4
    ]
    products = [IRM()._square(rows[torch.tensor(order)]) for order in orders]
    pairs = [rows[i] * rows[j] for i in range(4) for j in range(4) if i != j]
    torch.testing.assert_close(torch.stack(products).mean(), torch.stack(pairs).mean())


def test_vrex_is_the_variance_of_the_risks() -> None:
    view = source_view(MODEL)
    risks = torch.stack([risk(MODEL, batch) for batch in view.batches.values()])
    expected = (risks - risks.mean()).square().mean()
    found = VREx(penalty_weight=1.0)(view)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(found), gradients(expected))


def test_vrex_of_equal_sources_is_zero() -> None:
    batch = source_batch(5, 1)
    value = VREx()(source_view(MODEL, {"a": batch, "b": batch}))
    torch.testing.assert_close(value, torch.zeros(()).double())


@each
def test_gradients_by_finite_differences(kind: type[Term]) -> None:
    term, model = kind(), source_model()
    name = "body.trunk.encoders.image.layers.1.weight"
    weight = model.get_parameter(name)

    class Value(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self) -> Tensor:
            return term(source_view(self.model))

    value = Value()
    assert torch.autograd.gradcheck(
        lambda w: functional_call(value, {f"model.{name}": w}), weight.detach().requires_grad_()
    )


@each
def test_strength_grows_after_the_first_part(kind: type[Term]) -> None:
    term = kind(penalty_weight=30.0, anneal_share=0.25)  # pyright: ignore[reportCallIssue]
    before, after = (term(source_view(MODEL, progress=p)) for p in (0.24, 0.25))
    assert before != 0
    torch.testing.assert_close(after, 30.0 * before)


@each
def test_heads_are_summed(kind: type[Term]) -> None:
    both = kind()(source_view(MODEL, heads=("digit", "even")))
    parts = [kind()(source_view(MODEL, heads=(head,))) for head in ("digit", "even")]
    torch.testing.assert_close(both, parts[0] + parts[1])


@each
def test_only_labelled_rows_of_sources_count(kind: type[Term]) -> None:
    batches = {name: source_batch(n, n) for name, n in SIZES.items()}
    expected = kind()(source_view(MODEL, batches))
    padded = {}
    for name, batch in batches.items():
        joined = Batch.concatenate([batch, source_batch(3, 9)])
        mask = torch.arange(joined.size) < batch.size
        wrong = {t: torch.where(mask, y, -1) for t, y in joined.targets.items()}
        padded[name] = replace(joined, targets=wrong, labelled={"digit": mask})
    unseen = replace(source_batch(4, 8), targets={})
    torch.testing.assert_close(kind()(source_view(MODEL, padded)), expected)
    torch.testing.assert_close(kind()(source_view(MODEL, {**padded, "target": unseen})), expected)


@each
def test_what_cannot_be_computed_is_zero(kind: type[Term]) -> None:
    none = replace(source_batch(3, 1), labelled={"digit": torch.zeros(3).bool()})
    one = source_batch(1, 2)
    for batches in ({"a": one}, {"a": none, "b": none}, {"a": one, "b": none}):
        value = kind()(source_view(MODEL, batches))
        assert value == 0
    assert kind()(source_view(MODEL, {"target": source_batch(3, 1)})) == 0


@each
def test_without_gradients_the_value_is_the_same(kind: type[Term]) -> None:
    view = source_view(MODEL)
    with torch.no_grad():
        value = kind()(source_view(MODEL))
    assert not value.requires_grad
    torch.testing.assert_close(value, kind()(view).detach())


@each
def test_half_precision(kind: type[Term]) -> None:
    model = source_model().float()
    batches = {name: source_batch(n, n) for name, n in SIZES.items()}
    batches = {
        n: replace(b, inputs={"image": b.inputs["image"].float()}) for n, b in batches.items()
    }
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = kind()(source_view(model, batches))
    assert value.dtype == torch.float32
    assert value.isfinite()


def test_losses_of_mixed_rows() -> None:
    batch, share = source_batch(4, 1), torch.tensor([1.0, 0.25, 0.5, 0.0]).double()
    partner = torch.tensor([0, 1, 2, 0])
    logits = MODEL(batch).logits["digit"]
    own, other = (
        torch.nn.functional.cross_entropy(logits, y, reduction="none")
        for y in (batch.targets["digit"], partner)
    )
    mixed = replace(
        batch, mixed_targets={"digit": torch.where(share < 1, partner, -1)}, mix_weight=share
    )
    found = row_losses(Multiclass(), logits, mixed, "digit")
    torch.testing.assert_close(found, share * own + (1 - share) * other)
