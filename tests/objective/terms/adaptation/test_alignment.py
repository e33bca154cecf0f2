"""Discrepancies of features: kernels and covariances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import rbf_kernel
from torch import Tensor

from jlrun.models.joint_model import Outputs
from jlrun.objective.terms.adaptation import CORAL, JAN, MMD, SourceCORAL
from jlrun.objective.terms.adaptation.coral import coral_distance
from jlrun.objective.terms.adaptation.mmd import (
    gaussian_kernel,
    gaussian_kernels,
    mean_discrepancy,
    squared_distances,
)
from jlrun.objective.terms.base import StepView
from tests.objective.terms.adaptation.domains import (
    DIGIT,
    drawn_outputs,
    drawn_view,
    number,
    view_of,
)

ALPHAS = (0.125, 0.25, 0.5, 1.0, 2.0)


def features(view: StepView, stream: str) -> Tensor:
    return view.outputs[stream].fused.detach()


def by_pairs(view: StepView, unbiased: bool, joint: bool = False) -> float:
    """The definition, one pair of rows at a time."""
    rows = torch.cat([features(view, s) for s in ("source", "target")]).numpy()
    logits = torch.cat([view.outputs[s].logits["digit"] for s in ("source", "target")])
    p, n, size = logits.detach().softmax(dim=1).numpy(), len(features(view, "source")), len(rows)
    mean = np.mean([np.sum((a - b) ** 2) for a in rows for b in rows])

    def kernel(i: int, j: int) -> float:
        gap = np.sum((rows[i] - rows[j]) ** 2)
        k = sum(np.exp(-gap / (2 * alpha * mean)) for alpha in ALPHAS)
        return k * np.exp(-np.sum((p[i] - p[j]) ** 2) / (2 * 0.92**2)) if joint else k

    def mean_over(one: range, other: range) -> float:
        same = unbiased and one == other
        return float(np.mean([kernel(i, j) for i in one for j in other if not (same and i == j)]))

    s, t = range(n), range(n, size)
    return mean_over(s, s) + mean_over(t, t) - 2 * mean_over(s, t)


@pytest.mark.parametrize("unbiased", [True, False])
def test_mmd_by_its_definition(unbiased: bool) -> None:
    view = drawn_view()
    assert number(MMD(unbiased=unbiased)(view)) == pytest.approx(by_pairs(view, unbiased))


@pytest.mark.parametrize("unbiased", [True, False])
def test_jan_by_its_definition(unbiased: bool) -> None:
    view = drawn_view(specs=DIGIT)
    assert number(JAN(unbiased=unbiased)(view)) == pytest.approx(by_pairs(view, unbiased, True))


def test_jan_adds_up_its_heads() -> None:
    view = drawn_view()  # digit and even; height has no classes
    alone = [
        view_of({s: _with_heads(view, s, head) for s in ("source", "target")})
        for head in ("digit", "even")
    ]
    assert number(JAN()(view)) == pytest.approx(sum(number(JAN()(v)) for v in alone))


def _with_heads(view: StepView, stream: str, head: str) -> Outputs:
    outputs = view.outputs[stream]
    return replace(outputs, logits={head: outputs.logits[head]})


def test_mean_discrepancy_is_skadas() -> None:
    losses = pytest.importorskip("skada.deep.losses", exc_type=ImportError)
    x, y = (features(drawn_view(), s).float() for s in ("source", "target"))
    # skada's kernel is exp(−distance / σ), not a Gaussian of the squared distance, and its MMD
    # takes all pairs, rows with themselves too.
    sigmas = [0.5, 2.0]
    distances = torch.cdist(torch.cat([x, y]), torch.cat([x, y]))
    kernel = sum(((-distances / s).exp() for s in sigmas), torch.zeros(()))
    ours = mean_discrepancy(kernel, len(x), unbiased=False)
    assert number(ours) == pytest.approx(number(losses.dan_loss(x, y, sigmas)), rel=1e-5)


def test_kernels_are_sklearns() -> None:
    x = features(drawn_view(), "source")
    ours = gaussian_kernel(x, 1.5)
    torch.testing.assert_close(ours, torch.from_numpy(rbf_kernel(x.numpy(), gamma=1 / 4.5)))
    mean = float(squared_distances(x).mean())
    theirs = sum(rbf_kernel(x.numpy(), gamma=1 / (2 * a * mean)) for a in ALPHAS)
    torch.testing.assert_close(gaussian_kernels(x, ALPHAS), torch.as_tensor(theirs))


def test_distances_keep_their_precision_far_from_the_origin() -> None:
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    exact = torch.cdist(x.double(), x.double()).square()
    found = squared_distances((x.double() + 1000).float())  # float32 has steps of 6e-5 there
    assert float((found - exact).abs().max()) < 1e-2


def test_unbiased_is_zero_on_average_where_nothing_differs() -> None:
    generator = torch.Generator().manual_seed(0)
    values: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(300):
        x = torch.randn(10, 2, generator=generator, dtype=torch.float64)
        for unbiased, found in values.items():
            found.append(float(mean_discrepancy(gaussian_kernel(x, 1.0), 5, unbiased)))
    error = np.std(values[True]) / np.sqrt(300)
    assert abs(np.mean(values[True])) < 3 * error
    # The diagonal's excess: (1 − E k) / n on each side, E k = 1 / 3 for N(0, I) in two dimensions.
    assert np.mean(values[False]) == pytest.approx(2 * (1 - 1 / 3) / 5, abs=0.03)


def test_mmd_grows_with_the_distance_of_domains() -> None:
    x = drawn_outputs(8, 1)
    values = []
    for shift in (0.5, 1.0, 2.0):
        moved = drawn_outputs(8, 2)
        moved.fused.data += shift * 5
        values.append(number(MMD()(view_of({"source": x, "target": moved}))))
    assert values == sorted(values)
    assert values[0] > 0


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_mmd_does_not_depend_on_the_scale_of_features(scale: float) -> None:
    view = drawn_view()
    wanted = number(MMD()(view))
    for outputs in view.outputs.values():
        outputs.fused.data *= scale
    if scale < 1e-6:  # as good as constant: nothing to measure
        assert number(MMD()(view)) == pytest.approx(0, abs=1e-4)
    else:
        assert number(MMD()(view)) == pytest.approx(wanted)


def test_constant_features_have_no_discrepancy() -> None:
    view = drawn_view()
    for outputs in view.outputs.values():
        outputs.fused.data.fill_(2.0)
    for term in (MMD(), JAN(), CORAL(), CORAL(means=True)):
        value = term(view)
        grads = torch.autograd.grad(value, [o.fused for o in view.outputs.values()])
        assert all(grad.isfinite().all() for grad in grads)
        if not isinstance(term, JAN):  # its predictions differ
            assert number(value) == pytest.approx(0)


@pytest.mark.parametrize("unbiased", [True, False])
def test_kernel_gradients(unbiased: bool) -> None:
    """The width has no gradient: it is a constant of the numerical one, too."""
    view = drawn_view()
    x = torch.cat([features(view, s) for s in ("source", "target")]).requires_grad_()
    mean = float(squared_distances(x.detach()).mean())

    def fixed(rows: Tensor) -> Tensor:
        kernel = sum((-squared_distances(rows) / (2 * a * mean)).exp() for a in ALPHAS)
        return mean_discrepancy(torch.as_tensor(kernel), 5, unbiased)

    assert torch.autograd.gradcheck(fixed, (x,))
    value = mean_discrepancy(gaussian_kernels(x, ALPHAS), 5, unbiased)
    wanted = torch.autograd.grad(fixed(x), x)
    torch.testing.assert_close(torch.autograd.grad(value, x), wanted)


def test_coral_is_skadas() -> None:
    losses = pytest.importorskip("skada.deep.losses", exc_type=ImportError)
    view = drawn_view()
    theirs = losses.deepcoral_loss(features(view, "source"), features(view, "target"))
    assert number(CORAL()(view)) == pytest.approx(number(theirs), rel=1e-10)


def test_coral_by_hand() -> None:
    # Covariances 2 and 8 of one feature: (2 − 8)² / 4 = 9; means 1 and 2: + 1 / 4.
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [4.0]])
    assert number(coral_distance(x, y)) == pytest.approx(9)
    assert number(coral_distance(x, y, means=True)) == pytest.approx(9.25)


def test_coral_gradients() -> None:
    x, y = (torch.randn(4, 3, dtype=torch.float64).requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(lambda a, b: coral_distance(a, b, means=True), (x, y))


def test_sources_among_themselves_are_domainbeds() -> None:
    """4 R is the mean over pairs of DomainBed's mean_diff + cova_diff, means of squares both."""
    sizes = {"sources.a": 4, "sources.b": 6, "sources.c": 5}
    view = drawn_view(sizes)
    rows = [features(view, name).numpy() for name in sizes]
    values = []
    for i, x in enumerate(rows):
        for y in rows[i + 1 :]:
            covariances = np.cov(x.T) - np.cov(y.T)
            values.append(np.mean((x.mean(0) - y.mean(0)) ** 2) + np.mean(covariances**2))
    assert 4 * number(SourceCORAL()(view)) == pytest.approx(np.mean(values))
    # The target is none of them.
    outputs = {**view.outputs, "target": drawn_outputs(5, 9)}
    assert number(SourceCORAL()(view_of(outputs))) == number(SourceCORAL()(view))


def test_one_row_has_no_covariance_and_no_pair() -> None:
    view = drawn_view({"source": 1, "target": 5})
    for term in (CORAL(), MMD(), JAN()):
        value = term(view)
        assert number(value) == 0
        value.backward()
    assert number(MMD(unbiased=False)(view)) > 0
