"""Terms that train a discriminator against the features."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.objective.ramps import ramp
from jlrun.objective.terms.adaptation import CDAN, DANN, MDD
from jlrun.objective.terms.adaptation.cdan import MultilinearMap
from jlrun.objective.terms.adaptation.mdd import margin_disparity
from jlrun.objective.terms.base import StepView, Term
from tests.objective.terms.adaptation.domains import (
    DIGIT,
    SPECS,
    WIDTH,
    begun,
    drawn_view,
    model_view,
    number,
    small_model,
)

STEP = 1e-6
TERMS: dict[str, Callable[[], Term]] = {
    "dann": lambda: DANN(hidden=5, strength=0.7),
    "dann, one for each source": lambda: DANN(hidden=5, per_source=True, ramp="linear"),
    "cdan": lambda: CDAN(hidden=5),
    "cdan without entropy": lambda: CDAN(hidden=5, entropy=False, ramp="constant"),
    "cdan, random map": lambda: CDAN(hidden=5, max_features=2, random_features=6),
    "mdd": lambda: MDD(hidden=5),
    "mdd, other margin": lambda: MDD(hidden=5, margin=1.5, strength=0.4, ramp="cosine"),
}
SOURCES = ("sources.a", "sources.b")
SIZES = {"sources.a": 4, "sources.b": 3, "target": 5}

each = pytest.mark.parametrize("name", TERMS)


def made(name: str) -> Term:
    """Return a term at the start of a phase, its networks away from where ReLUs bend."""
    return begun(TERMS[name](), (*SOURCES, "target"))


def slopes(value: Callable[[], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Return three random directions ``(3, *x.shape)`` and central differences along them."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(3, *x.shape, generator=generator, dtype=x.dtype)
    found = []
    with torch.no_grad():
        for direction in directions:
            ends = []
            for move in (STEP, -2 * STEP):
                x += move * direction
                ends.append(value())
            x += STEP * direction
            found.append((ends[0] - ends[1]) / (2 * STEP))
    return directions, torch.stack(found)


def along(grad: Tensor | None, directions: Tensor) -> Tensor:
    assert grad is not None
    return (directions * grad).flatten(1).sum(dim=1)


def strength(term: Term, view: StepView) -> float:
    assert isinstance(term, DANN | CDAN | MDD)
    return term.strength * ramp(term.ramp)(view.progress)


@each
def test_features_climb_and_discriminators_descend(name: str) -> None:
    """Against finite differences of the value, in which nothing is reversed."""
    term, view = made(name), drawn_view(SIZES)
    term(view).backward()
    for outputs in view.outputs.values():
        directions, slope = slopes(lambda: term(view), outputs.fused)
        wanted = -strength(term, view) * slope
        assert wanted.abs().min() > 1e-6
        found = along(outputs.fused.grad, directions)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-8)
    for parameter in term.parameters():
        directions, wanted = slopes(lambda: term(view), parameter)
        found = along(parameter.grad, directions)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-8)


@each
def test_the_encoder_gets_the_reversed_gradient_and_heads_none(name: str) -> None:
    model = small_model()
    with torch.no_grad():
        for parameter in model.body.parameters():
            parameter *= 4  # features of the size of the discriminators' biases and more
    term = begun(TERMS[name](), (*SOURCES, "target"), model=model)
    view = model_view(model, SIZES)
    term(view).backward()
    weight = next(p for n, p in model.named_parameters() if "encoders" in n and p.ndim > 1)

    def value() -> Tensor:
        # Predictions stay what they were: no gradient goes through them.
        moved = model_view(model, SIZES)
        for stream, outputs in moved.outputs.items():
            for head, logits in outputs.logits.items():
                logits.data.copy_(view.outputs[stream].logits[head])
        return term(moved)

    directions, slope = slopes(value, weight)
    wanted = -strength(term, view) * slope
    assert wanted.abs().min() > 1e-6
    found = along(weight.grad, directions)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-8)
    assert all(p.grad is None for p in model.heads.parameters())


@each
def test_features_get_nothing_at_the_start_of_a_ramp(name: str) -> None:
    term, view = made(name), drawn_view(SIZES, progress=0.0)
    at_half = number(term(drawn_view(SIZES)))
    value = term(view)
    assert number(value) == pytest.approx(at_half)  # strength is in the gradient alone
    value.backward()
    grads = [outputs.fused.grad for outputs in view.outputs.values()]
    assert isinstance(term, DANN | CDAN | MDD)
    starts_at_zero = term.ramp != "constant"
    assert all(grad is not None and bool(grad.any()) != starts_at_zero for grad in grads)


@each
def test_descent_of_the_discriminator_tells_domains_apart(name: str) -> None:
    term, view = made(name), drawn_view(SIZES)
    before = number(term(view))
    optimizer = torch.optim.Adam(term.parameters(), lr=0.03)
    for _ in range(40):
        optimizer.zero_grad()
        term(view).backward()
        optimizer.step()
    assert number(term(view)) < 0.9 * before


@pytest.mark.parametrize("name", ["dann", "cdan", "cdan without entropy"])
def test_without_evidence_the_loss_is_that_of_a_coin(name: str) -> None:
    term, view = made(name), drawn_view(SIZES)
    for parameter in term.parameters():
        parameter.data.zero_()
    heads = 2 if "cdan" in name else 1
    assert number(term(view)) == pytest.approx(heads * math.log(2))


def test_dann_is_half_of_skadas() -> None:
    adversarial = pytest.importorskip("skada.deep._adversarial", exc_type=ImportError)
    term, view = begun(DANN(hidden=5)), drawn_view()
    logits = [term.discriminators("source", view.outputs[s].fused) for s in ("source", "target")]
    # skada adds up the means of both domains, of probabilities in float32 labels.
    theirs = adversarial.DANNLoss()(*(z.sigmoid().float() for z in logits))
    assert number(term(view)) == pytest.approx(number(theirs) / 2, rel=1e-6)


def test_cdan_is_half_of_skadas() -> None:
    adversarial = pytest.importorskip("skada.deep._adversarial", exc_type=ImportError)
    term, view = begun(CDAN(hidden=5, entropy=False), specs=DIGIT), drawn_view(specs=DIGIT)
    both = [view.outputs[s] for s in ("source", "target")]
    # Its multilinear map is an outer product, predictions first; skada has no entropy weights.
    maps = [
        torch.bmm(o.logits["digit"].softmax(1)[:, :, None], o.fused[:, None, :]).flatten(1)
        for o in both
    ]
    probabilities = [term.discriminators["digit"]("source", x).sigmoid().float() for x in maps]
    theirs = adversarial.CDANLoss()(*probabilities, *(o.fused for o in both))
    assert number(term(view)) == pytest.approx(number(theirs) / 2, rel=1e-6)


def test_entropy_weights_by_their_definition() -> None:
    term, view = begun(CDAN(hidden=5), specs=DIGIT), drawn_view(specs=DIGIT)
    halves = []
    for label, stream in ((0.0, "source"), (1.0, "target")):
        outputs = view.outputs[stream]
        p = outputs.logits["digit"].softmax(dim=1)
        weights = 1 + torch.exp((p * p.log()).sum(dim=1))
        outer = torch.einsum("bc,bd->bcd", p, outputs.fused).flatten(1)
        q = term.discriminators["digit"]("source", outer).sigmoid()
        losses = F.binary_cross_entropy(q, torch.full_like(q, label), reduction="none")
        halves.append((weights * losses).sum() / weights.sum())
    assert number(term(view)) == pytest.approx(number(halves[0] + halves[1]) / 2)


def test_random_map_keeps_inner_products_on_average() -> None:
    # <f ⊗ p, f′ ⊗ p′> = <f, f′> <p, p′>; the estimate's standard error falls as 1 / √d.
    torch.manual_seed(0)
    f, p = torch.randn(2, 6).double(), torch.rand(2, 3).double()
    exact = MultilinearMap(6, 3, max_features=18, random_features=1)
    drawn = MultilinearMap(6, 3, max_features=17, random_features=200_000).double()
    (a, b), (c, d) = exact(f, p), drawn(f, p)
    torch.testing.assert_close(a @ b, (f[0] @ f[1]) * (p[0] @ p[1]))
    assert number(c @ d) == pytest.approx(float(a @ b), rel=0.05)
    assert exact.out_features == 18
    assert not list(exact.buffers())


def test_wide_products_are_mapped_at_random() -> None:
    """4096 is the widest in full: 1365 · 3 fits, and 1366 · 3 does not."""
    for width, features in ((1365, 4095), (1366, 1024)):
        assert MultilinearMap(width, 3, 4096, 1024).out_features == features


def test_random_maps_are_state_and_do_not_train() -> None:
    term = begun(CDAN(max_features=2, random_features=6))
    assert {"maps.digit.random_f", "maps.even.random_p"} <= set(term.state_dict())
    assert not any("random" in name for name, _ in term.named_parameters())


def test_mdd_is_skadas_row_by_row() -> None:
    adversarial = pytest.importorskip("skada.deep._adversarial", exc_type=ImportError)
    generator = torch.Generator().manual_seed(0)
    source, target, main_s, main_t = torch.randn(4, 6, 3, generator=generator).double()
    loss = adversarial.MDDLoss(gamma=4.0)
    # It smooths p towards 1 / C. With several target rows it takes the labels of all of them for
    # each, so that it gets one row at a time.
    loss.disc_criterion_t.smoothing = 0.0
    theirs = [loss(main_s, main_t[i : i + 1], source, target[i : i + 1]) for i in range(6)]
    ours = margin_disparity(source, main_s.argmax(1), target, main_t.argmax(1), 4.0)
    assert float(ours) == pytest.approx(float(torch.stack(theirs).mean()), rel=1e-9)


def test_margin_disparity_by_hand() -> None:
    # p = (1/2, 1/4, 1/4) on the source, p(ŷ_t) = 1/4: 4 ln 2 − ln(3/4).
    logits = torch.tensor([[2.0, 1.0, 1.0]]).log()
    value = margin_disparity(logits, torch.tensor([0]), logits, torch.tensor([1]), 4.0)
    assert number(value) == pytest.approx(4 * math.log(2) - math.log(0.75), rel=1e-6)


def test_a_certain_adversary_is_finite() -> None:
    logits = torch.tensor([[500.0, 0.0]], requires_grad=True)
    label = torch.tensor([0])
    value = margin_disparity(logits, label, logits, label, 1.0)
    assert number(value) == pytest.approx(500)  # −log(1 − p) = 500 up to e^(−500)
    (grad,) = torch.autograd.grad(value, logits)
    torch.testing.assert_close(grad, torch.tensor([[1.0, -1.0]]))


def test_a_discriminator_for_each_source() -> None:
    one, several = (
        begun(DANN(hidden=5, per_source=p), (*SOURCES, "target")) for p in (False, True)
    )
    assert len(one.discriminators.networks) == 1
    assert len(several.discriminators.networks) == 2
    assert len(begun(MDD(hidden=5)).adversaries) == 2  # digit and even; height has no classes


def test_binary_heads_have_two_classes() -> None:
    even = {"even": SPECS["even"]}
    term = begun(CDAN(hidden=5), specs=even)
    assert term.maps["even"].out_features == 2 * WIDTH
    adversary = begun(MDD(), specs=even).adversaries["even"]
    assert adversary(torch.zeros(3, WIDTH, dtype=torch.float64)).shape == (3, 2)
