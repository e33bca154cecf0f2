"""Values of the losses on given projections: other libraries and closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.objective.terms.base import Term
from jlrun.objective.terms.self_supervised import BarlowTwins, LeJEPA, SimCLR, SupCon, VICReg
from jlrun.objective.terms.self_supervised.lejepa import sigreg
from tests.objective.terms.self_supervised.phase import given, without_projector

COMPARING = {
    "simclr": SimCLR,
    "barlow": BarlowTwins,
    "vicreg": VICReg,
    "lejepa": lambda: LeJEPA(num_slices=16),
}
each = pytest.mark.parametrize("make", COMPARING.values(), ids=COMPARING.keys())


def pair(rows: int = 12, width: int = 5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rows)
    first = torch.randn(rows, width, dtype=torch.float64, generator=generator)
    noise = torch.randn(rows, width, dtype=torch.float64, generator=generator)
    return 2 * first + 1, 2 * first + 0.7 * noise


def value(term: Term, first: Tensor, second: Tensor, **targets: Tensor) -> Tensor:
    return without_projector(term)(given(first, second, targets))


def supcon(term: SupCon) -> SupCon:
    """Return the term begun on a stream ``dataset`` whose classes are in the column ``digit``."""
    term._columns, term._groups = {"dataset": "digit"}, {"dataset": 0}
    return term


@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
def test_simclr_is_the_ntxent_of_lightly(temperature: float) -> None:
    loss = pytest.importorskip("lightly.loss")
    first, second = pair()
    expected = loss.NTXentLoss(temperature=temperature)(first, second)
    found = value(SimCLR(temperature=temperature), first, second)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("temperature", [0.1, 0.2])
def test_supcon_is_that_of_pytorch_metric_learning(temperature: float) -> None:
    """Its rows are all views, each with the class of its row; its cosines are of unit vectors."""
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    first, second = pair()
    digits = torch.arange(12) % 3
    expected = losses.SupConLoss(temperature)(torch.cat([first, second]), digits.repeat(2))
    found = value(supcon(SupCon(temperature=temperature)), first, second, digit=digits)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_barlow_is_that_of_lightly() -> None:
    loss = pytest.importorskip("lightly.loss")
    first, second = pair()
    expected = loss.BarlowTwinsLoss(lambda_param=0.02)(first, second)
    found = value(BarlowTwins(off_diagonal=0.02), first, second)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_vicreg_is_that_of_lightly() -> None:
    loss = pytest.importorskip("lightly.loss")
    first, second = pair()
    expected = loss.VICRegLoss(lambda_param=20.0, mu_param=15.0, nu_param=3.0)(first, second)
    found = value(VICReg(invariance=20.0, variance=15.0, covariance=3.0), first, second)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_lejepa_is_that_of_lightly() -> None:
    """Both draw directions (P, slices) from the global generator; here in single precision."""
    lejepa = pytest.importorskip("lightly.loss.lejepa_loss")
    first, second = (x.float() for x in pair())
    both = torch.stack([first, second])
    torch.manual_seed(3)
    shape = lejepa.SIGReg(knots=17, t_max=3.0, num_vectors=64)(both)
    invariance = lejepa.lejepa_invariance_loss(all_proj=both, global_proj=both)
    torch.manual_seed(3)
    found = value(LeJEPA(num_slices=64), first, second)
    torch.testing.assert_close(found, 0.05 * shape + 0.95 * invariance, rtol=1e-5, atol=1e-6)


def test_sigreg_integrates_the_written_distance() -> None:
    """Against a fine Riemann sum over [-3, 3] of |φ_N(t) - e^(-t²/2)|² e^(-t²/2), one dimension.

    Slices of one dimension are ±1, under which the distance is the same.
    """
    x = torch.tensor([[-1.3], [0.2], [0.9], [2.0]], dtype=torch.float64)
    t = torch.linspace(-3, 3, 60_001, dtype=torch.float64)
    empirical = torch.exp(1j * t[:, None] * x[:, 0]).mean(dim=1)
    gaussian = torch.exp(-t.square() / 2)
    expected = 4 * ((empirical - gaussian).abs().square() * gaussian).sum() * 1e-4
    found = sigreg(x, num_slices=3, num_knots=2001)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(sigreg(x, 3, 17), expected, rtol=5e-3, atol=1e-4)


def test_sigreg_prefers_a_gaussian() -> None:
    torch.manual_seed(0)
    gaussian = torch.randn(600, 8, dtype=torch.float64)
    sizes = gaussian.norm(dim=1, keepdim=True)
    shapes = {
        "gaussian": gaussian,
        "narrow": 0.5 * gaussian,
        "wide": 2 * gaussian,
        "shifted": gaussian + 0.5,
        "flat": gaussian * (torch.arange(8) < 4),
        "collapsed": torch.zeros_like(gaussian),
        "two balls": gaussian / sizes * torch.where(torch.arange(600)[:, None] % 2 == 0, 0.3, 5.0),
    }
    values = {name: sigreg(x, 64, 17).item() for name, x in shapes.items()}
    assert values["gaussian"] < 2
    assert all(values[name] > 5 * values["gaussian"] for name in shapes if name != "gaussian")


def test_contrastive_losses_of_known_projections() -> None:
    """Views alike, rows orthogonal: −log(e^(1/τ) / (e^(1/τ) + 2 (N − 1))), for each row."""
    rows, tau = 4, 0.2
    z = torch.eye(rows, 6, dtype=torch.float64)
    expected = math.log(1 + 2 * (rows - 1) * math.exp(-1 / tau))
    assert value(SimCLR(), z, 3 * z).item() == pytest.approx(expected)
    # all rows alike: each of the other 2 N − 1 has the same share
    same = torch.ones(rows, 6, dtype=torch.float64)
    assert value(SimCLR(), same, same).item() == pytest.approx(math.log(2 * rows - 1))
    # two classes, collapsed to orthogonal points: three positives of the same share
    digits = torch.tensor([0, 0, 1, 1])
    z = torch.eye(2, 6, dtype=torch.float64)[digits]
    share = math.exp(1 / tau) / (3 * math.exp(1 / tau) + 4)
    found = value(supcon(SupCon()), z, z, digit=digits).item()
    assert found == pytest.approx(-math.log(share))


def test_supcon_without_repeated_or_known_classes_is_simclr() -> None:
    first, second = pair()
    expected = value(SimCLR(), first, second)
    torch.testing.assert_close(
        value(supcon(SupCon()), first, second, digit=torch.arange(12)), expected
    )
    torch.testing.assert_close(value(supcon(SupCon()), first, second), expected)


def test_barlow_of_known_correlations() -> None:
    """Of uncorrelated features of variance v, C is v / (v + 10⁻⁵) on the diagonal."""
    signs = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]], dtype=torch.float64)
    assert value(BarlowTwins(), signs, 5 * signs).item() == pytest.approx(0, abs=1e-9)
    assert value(BarlowTwins(), signs, -signs).item() == pytest.approx(2 * 2**2, rel=1e-4)
    swapped = value(BarlowTwins(off_diagonal=0.1), signs, signs.flip(1)).item()
    assert swapped == pytest.approx(2 + 0.1 * 2, rel=1e-4)
    constant = torch.ones(4, 3, dtype=torch.float64)
    assert value(BarlowTwins(), constant, constant).item() == pytest.approx(3)


def test_vicreg_of_known_projections() -> None:
    constant = torch.ones(4, 3, dtype=torch.float64)
    # nothing varies: standard deviation √10⁻⁴; views differ by 2 everywhere
    found = value(VICReg(), constant, constant + 2).item()
    assert found == pytest.approx(25 * 4 + 25 * (1 - 0.01))
    # two equal features of variance 4: covariances 4 and 4, over 2 features
    z = torch.tensor([[-3.0, -3], [-1, -1], [1, 1], [3, 3]], dtype=torch.float64) * math.sqrt(0.6)
    assert value(VICReg(), z, z).item() == pytest.approx(2 * (4**2 + 4**2) / 2)


@each
def test_views_and_rows_may_change_places(make) -> None:
    first, second = pair()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    results = []
    for a, b in ((first, second), (second, first), (first[order], second[order])):
        torch.manual_seed(0)  # the slices of lejepa
        results.append(value(make(), a, b))
    torch.testing.assert_close(results[1], results[0])
    torch.testing.assert_close(results[2], results[0])


@each
def test_gradients_are_numerical_ones(make) -> None:
    def loss(first: Tensor, second: Tensor) -> Tensor:
        torch.manual_seed(0)
        return value(make(), first, second)

    inputs = tuple(x.requires_grad_() for x in pair(5, 3))
    assert torch.autograd.gradcheck(loss, inputs)


def test_gradients_of_supcon_are_numerical_ones() -> None:
    def loss(first: Tensor, second: Tensor) -> Tensor:
        return value(supcon(SupCon()), first, second, digit=torch.tensor([0, 1, 0, 2, 1]))

    assert torch.autograd.gradcheck(loss, tuple(x.requires_grad_() for x in pair(5, 3)))


@each
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e4])
def test_extreme_projections_have_finite_values_and_gradients(make, scale: float) -> None:
    first, second = (F.pad(scale * x.float(), (0, 1), value=1.0) for x in pair())
    first.requires_grad_()
    result = value(make(), first, second)
    result.backward()
    assert result.isfinite()
    assert first.grad is not None
    assert first.grad.isfinite().all()


@each
def test_a_single_row_is_compared_with_nothing(make) -> None:
    first, second = (x.requires_grad_() for x in pair(1))
    result = value(make(), first, second)
    assert result.item() == 0
    result.backward()
    assert first.grad is not None
    assert first.grad.abs().sum() == 0


@each
def test_matrix_products_keep_their_precision_under_autocast(make) -> None:
    first, second = (x.float() for x in pair(64, 16))
    torch.manual_seed(0)
    expected = value(make(), first, second)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.manual_seed(0)
        found = value(make(), first, second)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
