"""Terms of the target's predictions alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jlrun.objective.terms.adaptation import MCC, Entropy
from jlrun.objective.terms.adaptation.entropy import marginal_entropy, mean_entropy
from jlrun.objective.terms.adaptation.mcc import class_confusion
from jlrun.objective.terms.base import StepView
from tests.objective.terms.adaptation.domains import DIGIT, drawn_view, number


def logits(seed: int = 0, rows: int = 7, classes: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(rows, classes, generator=generator, dtype=torch.float64)


def confusion(z: Tensor, temperature: float = 2.5) -> float:
    """The paper's steps, one after the other."""
    p = (z / temperature).softmax(dim=1)
    weight = 1 + torch.exp((p * p.log()).sum(dim=1))
    weight = len(z) * weight / weight.sum()
    matrix = p.T @ torch.diag(weight) @ p
    matrix = matrix / matrix.sum(dim=1, keepdim=True)
    return float((matrix.sum() - matrix.trace()) / len(matrix))


def test_mcc_by_its_definition() -> None:
    view = drawn_view(specs=DIGIT)
    z = view.outputs["target"].logits["digit"].detach()
    assert number(MCC()(view)) == pytest.approx(confusion(z))
    assert number(MCC(temperature=1.0)(view)) == pytest.approx(confusion(z, 1.0))


def test_mcc_is_skadas() -> None:
    losses = pytest.importorskip("skada.deep.losses", exc_type=ImportError)
    z = logits()
    theirs = losses.mcc_loss(z, T=2.5, eps=0.0)
    assert number(class_confusion((z / 2.5).log_softmax(1))) == pytest.approx(number(theirs))


def test_heads_add_up_and_yes_or_no_has_two_classes() -> None:
    view = drawn_view()
    digit, even = (view.outputs["target"].logits[head].detach() for head in ("digit", "even"))
    both = torch.cat([torch.zeros_like(even), even], dim=1)
    assert number(MCC()(view)) == pytest.approx(confusion(digit) + confusion(both))
    rows = [z.log_softmax(1) for z in (digit, both)]
    wanted = sum(number(mean_entropy(x) - marginal_entropy(x)) for x in rows)
    assert number(Entropy()(view)) == pytest.approx(wanted)


def test_mcc_between_certain_and_clueless() -> None:
    certain = 200 * torch.eye(3, dtype=torch.float64)
    assert float(class_confusion(certain.log_softmax(1))) == pytest.approx(0, abs=1e-12)
    clueless = torch.zeros(5, 3, dtype=torch.float64)
    assert float(class_confusion(clueless.log_softmax(1))) == pytest.approx(1 - 1 / 3)


def test_mcc_is_finite_for_a_class_that_no_row_could_be() -> None:
    z = torch.tensor([[900.0, 0.0, -900.0], [0.0, 900.0, -900.0]], requires_grad=True)
    value = class_confusion(z.log_softmax(1))
    value.backward()
    assert value.isfinite()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_mcc_weights_have_no_gradient() -> None:
    """The gradient is that of the definition with weights held fixed, as in the authors' code."""
    z = logits().requires_grad_()
    p = z.softmax(dim=1)
    weight = (1 + torch.exp((p * p.log()).sum(dim=1))).detach()
    matrix = p.T @ torch.diag(weight) @ p
    matrix = matrix / matrix.sum(dim=1, keepdim=True)
    wanted = torch.autograd.grad((matrix.sum() - matrix.trace()) / len(matrix), z)
    found = torch.autograd.grad(class_confusion(z.log_softmax(1)), z)
    torch.testing.assert_close(found, wanted)


def test_entropies_by_their_definition() -> None:
    p = logits().softmax(dim=1)
    log_p = logits().log_softmax(dim=1)
    assert number(mean_entropy(log_p)) == pytest.approx(float(-(p * p.log()).sum() / len(p)))
    mean = p.mean(dim=0)
    assert number(marginal_entropy(log_p)) == pytest.approx(float(-(mean * mean.log()).sum()))


def test_entropy_is_least_for_certain_rows_of_all_classes() -> None:
    spread = (200 * torch.eye(4, dtype=torch.float64)).log_softmax(1)
    assert float(mean_entropy(spread) - marginal_entropy(spread)) == pytest.approx(-math.log(4))
    collapsed = (200 * F.one_hot(torch.zeros(4, dtype=torch.int64), 4)).double().log_softmax(1)
    assert float(mean_entropy(collapsed) - marginal_entropy(collapsed)) == pytest.approx(0)


def test_entropy_alone() -> None:
    view = drawn_view(specs=DIGIT)
    log_p = view.outputs["target"].logits["digit"].log_softmax(1)
    assert number(Entropy(marginal=0.0)(view)) == pytest.approx(number(mean_entropy(log_p)))


@pytest.mark.parametrize("function", [mean_entropy, marginal_entropy])
def test_entropy_gradients(function: Callable[[Tensor], Tensor]) -> None:
    z = logits().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: function(x.log_softmax(1)), (z,))


@pytest.mark.parametrize("term", [MCC(), Entropy()], ids=["mcc", "entropy"])
def test_sources_have_no_part_in_it(term: MCC | Entropy) -> None:
    view = drawn_view()
    alone = StepView(view.model, view.batches, {"target": view.outputs["target"]}, 0.5, view.tasks)
    assert number(term(alone)) == number(term(view))
    term(view).backward()
    assert all(z.grad is None for z in view.outputs["source"].logits.values())
